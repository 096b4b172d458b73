import type { Problem } from '../../src/core/problem.ts';
import {
  applyRound,
  askExpand,
  askRollout,
  closeRound,
  gradeRollout,
  isFinished,
  mergeSteps,
} from '../../src/core/search/index.ts';
import { createTree } from '../../src/core/search/tree.ts';
import type { SampledStep, SearchParams, SearchRound, SearchTree } from '../../src/core/search/types.ts';
import { createRandom, deriveSeed, type Random } from '../../src/core/seed.ts';
import type { Task } from '../../src/core/task.ts';
import type { CountdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import { parseStepLine, stateText } from '../../src/core/tasks/countdown-text.ts';
import type { DeepProblem } from './deep-task.ts';

/** One next step of a solution. */
export type FakePolicy<P extends Problem> = (problem: P, steps: readonly string[], random: Random) => string;

export const searchParams: SearchParams = {
  algorithm: 'puct',
  rounds: 12,
  leavesPerRound: 2,
  childrenPerLeaf: 4,
  rolloutsPerChild: 3,
  exploration: 1,
  maxDepth: 50,
  enough: null,
  temperature: 1,
  maxStepTokens: 32,
  maxRolloutTokens: 64,
};

/** A whole search with a seeded policy instead of a model: what the search activity does, without its calls. */
export function runSearch<P extends Problem>(
  task: Task<P>,
  problem: P,
  policy: FakePolicy<P>,
  options: { params?: Partial<SearchParams>; seed?: number } = {},
): { tree: SearchTree; rounds: SearchRound[]; params: SearchParams; trees: SearchTree[] } {
  const params = { ...searchParams, ...options.params };
  const anyTask: Task = task;
  const rounds: SearchRound[] = [];
  const trees = [createTree(problem.id)];
  let tree = trees[0] as SearchTree;
  while (!isFinished(tree, params)) {
    const random = createRandom(deriveSeed(options.seed ?? 0, tree.rounds));
    const asks = askExpand(tree, params, anyTask, problem);
    const expansions = asks.map((ask) => {
      const samples = Array.from({ length: ask.count }, (): SampledStep => {
        const text =
          ask.stops.length > 0 ? policy(problem, ask.steps, random) : finish(task, problem, ask.steps, policy, random);
        return { text, tokens: [random.int(1000)], logprobs: [-random.next() * 3] };
      });
      return { node: ask.node, children: mergeSteps(params, anyTask, problem, ask, samples) };
    });
    const rolloutAsks = askRollout(tree, expansions, params);
    const rollouts = rolloutAsks.map((ask) =>
      Array.from({ length: ask.count }, () => {
        const text = finish(task, problem, ask.steps, policy, random);
        return gradeRollout(anyTask, problem, ask.steps, { text, tokens: [1, 2, 3] });
      }),
    );
    const usage = { calls: 2, promptTokens: 10, completionTokens: 20 };
    const round = closeRound(tree, params, { expansions, rolloutAsks, rollouts, calls: [`r${tree.rounds}`], usage });
    // Through JSON, as the store would hand it back.
    rounds.push(JSON.parse(JSON.stringify(round)) as SearchRound);
    tree = applyRound(tree, round, params);
    trees.push(tree);
  }
  return { tree, rounds, params, trees };
}

function finish<P extends Problem>(
  task: Task<P>,
  problem: P,
  steps: readonly string[],
  policy: FakePolicy<P>,
  random: Random,
): string {
  const all = [...steps];
  while (!task.isTerminal(problem, all)) all.push(policy(problem, all, random));
  return all.slice(steps.length).join('');
}

/** Adds random digits; one total in ten is wrong about itself. */
export const deepPolicy: FakePolicy<DeepProblem> = ({ data }, steps, random) => {
  const digit = 1 + random.int(5);
  const line = `Step ${steps.length + 1}: add ${digit}.\n`;
  if (steps.length < data.depth - 1) return `${line}\n`;
  const sum = steps.reduce((total, step) => total + Number(/add (\d)/.exec(step)?.[1]), digit);
  return `${line}The total is \\boxed{${random.int(10) === 0 ? data.target : sum}}.`;
};

/** Random operations; one verdict in ten is the opposite of the truth. */
export const countdownPolicy: FakePolicy<CountdownProblem> = ({ data }, steps, random) => {
  // Expressions by value, rebuilt from the steps.
  let items = data.numbers.map((value) => ({ value, text: `${value}` }));
  const combine = (a: number, operator: string, b: number, value: number): void => {
    const left = items.find((item) => item.value === a) ?? { value: a, text: `${a}` };
    items = items.toSpliced(items.indexOf(left), 1);
    const right = items.find((item) => item.value === b) ?? { value: b, text: `${b}` };
    items = [...items.toSpliced(items.indexOf(right), 1), { value, text: `(${left.text}${operator}${right.text})` }];
  };
  for (const step of steps) {
    const line = parseStepLine(step);
    if (line !== null) combine(line.a, line.operator, line.b, line.result);
  }
  const pair = random.shuffle(items.map((item) => item.value)).slice(0, 2);
  const [a, b] = pair.sort((x, y) => y - x) as [number, number];
  const operator = random.pick(['+', '-', '*']);
  const value = operator === '+' ? a + b : operator === '-' ? a - b : a * b;
  combine(a, operator, b, value);
  const equation = `${a}${operator}${b}=${value}`;
  if (items.length > 1)
    return `${equation} left ${stateText(
      items.map((item) => item.value),
      data.target,
    )}\n`;
  const says = (value === data.target) !== (random.int(10) === 0) ? 'is' : 'is not';
  return `${equation} ${says} ${data.target}\nAnswer boxed{${items[0]?.text.slice(1, -1)}}`;
};
