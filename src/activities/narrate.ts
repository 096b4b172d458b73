import { artifactNames, type LanguagePlan, type LinearizePlan } from '../config/plan.ts';
import { noLanguage } from '../core/language/counts.ts';
import { narrationFlaw } from '../core/language/filter.ts';
import { narrated, pieceOf, type TraceSource } from '../core/language/narration.ts';
import { fillPrompt, type PromptName, type PromptTexts } from '../core/language/prompt.ts';
import { countVotes, isApproved, type VoteCount } from '../core/language/votes.ts';
import { judgedSolutions, planRows } from '../core/linearize.ts';
import type { LanguageCounts } from '../core/records.ts';
import { stepsTo } from '../core/search/tree.ts';
import type { NarrationPhrases, Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import { nodeOf, renderTrace, type TraceMove } from '../core/trace.ts';
import type { Usage } from '../core/usage.ts';
import type { Services } from '../services/index.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { requireArtifact } from './load.ts';
import { createRoleCalls, type RoleCalls } from './role-calls.ts';
import type { IndexedTree, StoredTree } from './search.ts';
import { rowsOptions, type TreeRow, type TreeRows, treeRow } from './tree-rows.ts';

/** A plan whose judge or narrator is a model. */
export type SpokenPlan = LinearizePlan & { roles: LanguagePlan };

/** What a tree's judging and narrating need. */
interface TreeContext {
  plan: SpokenPlan;
  task: Task;
  stored: StoredTree;
  prompts: PromptTexts;
  textModel: Services['textModel'];
  calls: RoleCalls;
  report(phase: string, done: number, total: number): void;
}

export function createNarrateActivities({ store, services }: ActivityDeps) {
  return {
    /** Slugs of a page's trees that judge and narrator have not been through yet. */
    readTreesPage: (input: { plan: LinearizePlan; first: number }): Promise<{ slugs: string[] }> =>
      attempt(async () => {
        const { plan, first } = input;
        const name = artifactNames.searchIndex(plan.search, first);
        const index = await store.getLines<IndexedTree>(await requireArtifact(store, name, 'searchCorpus'));
        const slugs: string[] = [];
        for (const { slug, tree } of index) {
          if (tree !== null && (await store.find(artifactNames.treeRows(plan.key, slug))) === null) slugs.push(slug);
        }
        return { slugs };
      }),

    /**
     * One tree through the language stage: votes on its right solutions, then its rows, event by event. Every answer
     * is stored before the next is asked for, so an attempt continues from what is there.
     */
    narrateTree: (input: { plan: SpokenPlan; slug: string }): Promise<{ rows: number; usage: Usage }> =>
      attempt(async (at) => {
        const { plan, slug } = input;
        const name = artifactNames.treeRows(plan.key, slug);
        let ref = await store.find(name);
        if (ref === null) {
          const tree = await requireArtifact(store, artifactNames.searchTree(plan.search.key, slug), 'searchCorpus');
          const calls = createRoleCalls({ store, plan, slug, at });
          const made = await rowsOfTree({
            plan,
            task: getTask(plan.task),
            stored: await store.getJson<StoredTree>(tree),
            prompts: await store.getJson<PromptTexts>(plan.roles.prompts),
            textModel: services(plan.policy).textModel,
            calls,
            report: (phase, done, total) => at.report({ phase, done, total }),
          });
          ref = await store.putJson(name, made);
        }
        const { rows, counts } = await store.getJson<TreeRows>(ref);
        return { rows: rows.length, usage: counts.usage };
      }),
  };
}

async function rowsOfTree(context: TreeContext): Promise<TreeRows> {
  const { plan, task, stored, calls } = context;
  const { problem, tree } = stored;
  const counts = { ...noLanguage, rejectedRows: {} as LanguageCounts['rejectedRows'] };
  const finish = (rows: TreeRow[], invalid?: string): TreeRows => {
    const { calls: made, usage } = calls.made();
    const content = { problemId: problem.id, rows, ...(invalid && { invalid }), counts: { ...counts, usage } };
    return { schema: 'astroflow.tree-rows/1', ...content, calls: made };
  };

  const votes = await judge(context, counts);
  const { accept } = plan.roles.judge ?? {};
  const approved = accept && new Set([...votes].filter(([, count]) => isApproved(count, accept)).map(([node]) => node));
  counts.approved = approved?.size ?? 0;
  const planned = planRows(tree, task, problem, { ...rowsOptions(plan, problem.id), ...(approved && { approved }) });
  if ('invalid' in planned) return finish([], planned.invalid);

  const rows: TreeRow[] = [];
  const numbers = { search: 0, direct: 0 };
  for (const row of planned.rows) {
    const source = { plan: row.plan, tree, task, problem };
    const made = await narrate(context, source, `${row.arm}-${numbers[row.arm]++}`, counts);
    if (made.flaw !== null) counts.rejectedRows[made.flaw] = (counts.rejectedRows[made.flaw] ?? 0) + 1;
    else {
      const star = row.plan.answers.find((answer) => answer.correct)?.node;
      const votesOfStar = votes.get(star ?? 0) ?? null;
      rows.push({ ...treeRow(row, made.text), votes: votesOfStar, fallbacks: made.fallbacks });
    }
  }
  // As everywhere, a tree gives rows to both arms or to neither: they differ in their traces, never in their problems.
  for (const arm of ['search', 'direct'] as const) {
    if (!rows.some((row) => row.arm === arm)) return finish([], `narration: no ${arm} row passed the filter`);
  }
  return finish(rows);
}

/** N votes on every right solution that could end a trace, by node. */
async function judge(context: TreeContext, counts: LanguageCounts): Promise<Map<number, VoteCount>> {
  const { plan, task, stored, prompts, calls } = context;
  const { problem, tree } = stored;
  const role = plan.roles.judge;
  const votes = new Map<number, VoteCount>();
  if (role === null) return votes;
  const model = context.textModel(role.model);
  const { mix, seed } = rowsOptions(plan, problem.id);
  const nodes = judgedSolutions(tree, task, problem, { mix, seed, most: role.maxSolutions });
  for (const [i, node] of nodes.entries()) {
    context.report('judge', i, nodes.length);
    const values = { problem: task.statement(problem), solution: stepsTo(tree, node).join('').trim() };
    const { maxTokens, temperature } = role;
    const messages = fillPrompt(promptOf(prompts, 'judge'), values);
    const answers = await calls.ask('judge', String(node), model, { messages, n: role.votes, maxTokens, temperature });
    const count = countVotes(answers, role.votes);
    votes.set(node, count);
    counts.judged += 1;
    counts.votes += role.votes;
    counts.unreadVotes += count.unread;
  }
  return votes;
}

interface Narrated {
  text: string;
  fallbacks: number;
  /** Why the row cannot be used. */
  flaw: string | null;
}

/** One row's text, event by event, each given the text so far; by templates where no model narrates. */
async function narrate(
  context: TreeContext,
  source: TraceSource,
  id: string,
  counts: LanguageCounts,
): Promise<Narrated> {
  const { plan, tree, task, problem } = source;
  const role = context.plan.roles.narrator;
  if (role === null) return { text: renderTrace(plan, tree, task, problem).text, fallbacks: 0, flaw: null };
  const phrases = phrasesOf(task);
  const model = context.textModel(role.model);
  const moves: TraceMove[] = [];
  let text = '';
  let fallbacks = 0;
  for (const [index, event] of plan.events.entries()) {
    context.report(`narrate ${id}`, index, plan.events.length);
    const piece = pieceOf(event, source, text);
    const start = text.length;
    text += (await write(index)) ?? piece.template;
    moves.push({ kind: event.kind, node: nodeOf(event), start, end: text.length });

    async function write(at: number): Promise<string | null> {
      if (piece.ask === null) return null;
      const { prompt, values, tries } = piece.ask;
      const messages = fillPrompt(promptOf(context.prompts, prompt), values);
      const { maxTokens, temperature } = role as NonNullable<typeof role>;
      counts.narrated += 1;
      for (let attempt = 0; attempt < tries; attempt++) {
        const ask = `${id}-${at}${attempt === 0 ? '' : '-again'}`;
        const [answer] = await context.calls.ask('narrate', ask, model, { messages, n: 1, maxTokens, temperature });
        const usable = answer === undefined ? null : narrated(piece, answer, phrases);
        if (usable !== null) return usable;
      }
      counts.fallbacks += 1;
      fallbacks += 1;
      return null;
    }
  }
  return { text, fallbacks, flaw: narrationFlaw({ text, moves }, source, phrases) };
}

/** `resolveConfig` read and checked the prompts of every role that a model fills. */
function promptOf(prompts: PromptTexts, name: PromptName): string {
  const text = prompts[name];
  if (text === undefined) throw failure('InvalidConfig', `the plan holds no prompt "${name}": start the run anew`);
  return text;
}

function phrasesOf(task: Task): NarrationPhrases {
  const { narration } = task.phrases;
  if (narration === undefined)
    throw failure('InvalidConfig', `the task "${task.name}" has no phrases for a narrator: leave "roles.narrator" out`);
  return narration;
}
