import { fillPrompt } from '../core/language/prompt.ts';
import { countVotes, type VoteCount } from '../core/language/votes.ts';
import { judgedSolutions } from '../core/linearize.ts';
import { stepsTo } from '../core/search/tree.ts';
import { promptOf, type TreeContext } from './role-calls.ts';
import { rowsOptions } from './tree-rows.ts';

/** N votes on every right solution that could end a trace (Sec. 2.3), by node; null where no model judges. */
export async function judgeTree(context: TreeContext): Promise<Map<number, VoteCount> | null> {
  const { plan, task, stored, calls } = context;
  const { problem, tree } = stored;
  const role = plan.roles.judge;
  if (role === null) return null;
  const model = context.textModel(role.model);
  const prompt = promptOf(context, 'judge');
  const votes = new Map<number, VoteCount>();
  const { mix, seed } = rowsOptions(plan, problem.id);
  const nodes = judgedSolutions(tree, task, problem, { mix, seed, most: role.maxSolutions });
  for (const [i, node] of nodes.entries()) {
    context.report('judge', i, nodes.length);
    const solution = stepsTo(tree, node).join('').trim();
    const answers = await calls.ask('judge', String(node), model, {
      messages: fillPrompt(prompt, { problem: task.statement(problem), solution }),
      n: role.votes,
      maxTokens: role.maxTokens,
      temperature: role.temperature,
    });
    votes.set(node, countVotes(answers, role.votes));
  }
  return votes;
}
