import { readMoves } from '../../src/core/moves.ts';
import type { RowPlan } from '../../src/core/records.ts';
import { countdown } from '../../src/core/tasks/countdown.ts';
import { countdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import type { ReportData } from '../../src/report/html/report-data.ts';
import { treeOf } from '../fakes/tree-of.ts';
import { example } from './example.ts';

const problem = countdownProblem([4, 9, 3], 39);
const first = '9*4=36 left 3 36 to make 39\n';

export const smallTree = treeOf(countdown, problem, [
  [first, '36-3=33 is not 39\nAnswer boxed{(9*4)-3}'],
  [first, '36+3=39 is 39\nAnswer boxed{(9*4)+3}'],
  ['9+4=13 left 3 13 to make 39\n', '13*3=39 is 39\nAnswer boxed{(9+4)*3}'],
]);

/** A trace of it that starts over once and goes back once. */
export const smallTreeEvents: RowPlan['events'] = [
  ['step', 4],
  ['reflectPositive', 4],
  ['step', 5],
  ['restart', 0],
  ['step', 1],
  ['step', 2],
  ['backtrack', 1],
  ['answer', 3],
];

const answer =
  '9*4=36 left 3 36 to make 39\nLooks right so far\n36-3=33 is not 39\nWait go back to 3 36 to make 39\n' +
  '36+3=39 is 39\nAnswer boxed{(9*4)+3}';
const moves = readMoves(answer, countdown, problem, '(9*4)+3');
const statement = countdown.statement(problem);

/** A report of everything, small. */
export const reportExample: ReportData = {
  summary: example,
  trees: [
    {
      why: 'The first tree whose training text goes back 2 times, the most there is',
      problem: statement,
      tree: smallTree,
      row: { plan: { requested: 2, events: smallTreeEvents }, moves },
    },
    { why: 'The first without a right answer', problem: statement, tree: smallTree, row: null },
  ],
  transcripts: ['base', 'search-rl'].map((checkpoint) => ({
    checkpoint,
    benchmark: 'new-numbers',
    looked: 5,
    examples: [
      { problemId: 'p1', problem: statement, moves, right: true, truncated: false, reason: 'makes 39', tokens: 88 },
      { problemId: 'p2', problem: statement, moves, right: false, truncated: true, reason: 'no answer', tokens: 240 },
    ],
  })),
  config: JSON.stringify({ run: 'demo', seed: 1 }, null, 2),
};

/** The same with every text from outside replaced. */
export function reportWith(text: string): ReportData {
  const { summary, trees, transcripts } = reportExample;
  const said = moves.map((move) => ({ ...move, text: `${text}\n` }));
  const named = (names: Record<string, string>) =>
    Object.fromEntries(Object.keys(names).map((name) => [text + name, text]));
  return {
    summary: {
      ...summary,
      run: text,
      scores: summary.scores.map((score) => ({ ...score, benchmark: text + score.benchmark })),
      comparisons: summary.comparisons.map((one) => ({
        ...one,
        benchmark: text + one.benchmark,
        from: one.from + text,
      })),
      matrix: summary.matrix.map((one) => ({
        ...one,
        benchmark: text,
        list: text,
        problems: one.problems.map((row) => ({ ...row, id: text + row.id })),
      })),
      dropped: [{ set: text, count: 2, list: text }],
      funnel: { ...summary.funnel, rejected: { [text]: 1 } },
      stages: summary.stages.map((stage) => ({
        ...stage,
        name: text + stage.name,
        wastedBy: { [text]: { calls: 1, tokens: 2 } },
      })),
      versions: named(summary.versions),
      artifacts: named(summary.artifacts),
    },
    trees: trees.map((tree) => ({
      why: tree.why,
      problem: text,
      tree: {
        nodes: tree.tree.nodes.map((node) => ({
          ...node,
          text: node.parent === null ? '' : text,
          terminal: node.terminal && { ...node.terminal, answer: text },
        })),
      },
      row: tree.row && { ...tree.row, moves: said },
    })),
    transcripts: transcripts.map((group) => ({
      ...group,
      checkpoint: group.checkpoint + text,
      benchmark: text,
      examples: group.examples.map((one) => ({ ...one, problemId: text, problem: text, reason: text, moves: said })),
    })),
    config: text,
  };
}
