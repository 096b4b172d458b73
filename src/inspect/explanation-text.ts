import { alignColumns } from '../report/columns.ts';
import { fixed, integer } from '../report/format.ts';
import type { CallCost, Explanation } from './explain.ts';
import type { RelatedGroup, RelatedRow } from './related.ts';
import type { TracedTree } from './traced-tree.ts';

/** Calls that a person reads; `--json` has all. */
const mostCalls = 12;

/** An explanation for a terminal. Model output is untrusted: nothing in it moves the cursor. */
export function explanationText(found: Explanation): string {
  const { run, benchmark, checkpoint, problem, answer, others, lineage } = found;
  return [
    `${benchmark}/${problem.id}/${answer.sample}@${checkpoint} of ${run}`,
    `  ${plain(problem.statement)}`,
    '',
    `Answer: ${outcome(found)}, ${answer.tokens} tokens, by ${answer.model}`,
    ...(answer.error === undefined ? indented(answer.text) : [`  ${plain(answer.error)}`]),
    ...attemptsLine(found),
    `  same problem: ${others.map((other) => `${other.checkpoint} ${other.right} of ${other.of}`).join(', ')}`,
    '',
    'Checkpoint, from the newest stage back',
    ...alignColumns(
      lineage.map(({ stage, arm, what, key }) => [`  ${[stage, arm].filter(Boolean).join(' ')}`, key, what]),
      { left: 3 },
    ),
    '',
    ...(lineage.length === 1
      ? ['Nothing was trained for this checkpoint, so no training data is behind it.']
      : training(found)),
    '',
    ...callLines(found.calls),
  ].join('\n');
}

function outcome({ answer }: Explanation): string {
  if (answer.error !== undefined) return 'none, the service gave an error';
  if (answer.stopReason === 'length') return 'cut off, which counts as wrong';
  const { correct, reason } = answer.verdict;
  return `${correct === true ? 'right' : correct === false ? 'wrong' : 'undecided'} (${plain(reason)})`;
}

function attemptsLine({ answer: { attempts } }: Explanation): string[] {
  if (attempts.length < 2) return [];
  const each = attempts.map(({ correct, answerClass }) =>
    answerClass === null ? 'none' : `${plain(answerClass)} ${correct === true ? '✓' : correct === false ? '✗' : '?'}`,
  );
  return [`  attempts: ${each.join(' → ')}`];
}

function training({ run, kinds, groups, groupsFound, rows, rowsFound, trees }: Explanation): string[] {
  return [
    'Training problems that are alike',
    ...alignColumns(
      kinds.map(({ name, value, problems }) => [`  ${name}`, plain(value), `${problems} problems`]),
      { left: 2 },
    ),
    '',
    `Groups of reinforcement learning: ${found(groups.length, groupsFound)}`,
    ...alignColumns(groups.map(groupCells), { left: 2 }),
    '',
    `Rows of fine-tuning: ${found(rows.length, rowsFound)}`,
    ...rows.flatMap((row) => rowLines(run, row)),
    ...trees.flatMap((tree) => ['', ...treeLines(run, tree)]),
  ];
}

const found = (shown: number, all: number) => (shown < all ? `${shown} of ${all}, the closest first` : `${all}`);

function groupCells({ iteration, group, problemId, alike, rewards, right, tokens }: RelatedGroup): string[] {
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / Math.max(1, rewards.length);
  return [
    `  iteration ${iteration}, group ${group}: ${plain(problemId)}`,
    alike,
    `${right} of ${rewards.length} right`,
    `reward ${fixed(mean, 2)}`,
    `${integer(tokens)} tokens`,
  ];
}

function rowLines(run: string, { arm, row, problemId, alike, backtracks, text }: RelatedRow): string[] {
  return [
    `  ${arm} row ${row}: ${plain(problemId)} (${alike}), ${backtracks} backtracks; astroflow trace ${run} ${row} --arm ${arm}`,
    ...indented(text, '      '),
  ];
}

function treeLines(run: string, { slug, rounds, nodes, usage, trace }: TracedTree): string[] {
  const tokens = usage.promptTokens + usage.completionTokens;
  const mark = (correct: boolean | 'unknown' | null) =>
    correct === null ? '' : correct === true ? '✓ ' : correct === false ? '✗ ' : '? ';
  return [
    `Tree ${slug}: ${nodes} nodes in ${rounds} rounds, ${integer(usage.calls)} calls, ${integer(tokens)} tokens; astroflow tree ${run} ${slug}`,
    ...trace.map(
      ({ node, text, visits, value, correct, round }) =>
        `  node ${node}${round === null ? '' : ` (round ${round})`}  N ${visits}  Q ${value.toFixed(2)}  ${mark(correct)}${node === 0 ? 'root' : plain(text)}`,
    ),
  ];
}

function callLines(calls: readonly CallCost[]): string[] {
  const shown = calls.slice(0, mostCalls);
  const more = calls.length - shown.length;
  return [
    'Calls behind it; one call may answer many problems, its tokens (prompts + completions) are those of all',
    ...alignColumns(
      shown.map(({ call, servings, promptTokens, completionTokens }) =>
        servings === null
          ? [`  ${call}`, 'no journal']
          : [
              `  ${call}`,
              `served ${servings}×`,
              `${integer(promptTokens ?? 0)} + ${integer(completionTokens ?? 0)} tokens`,
            ],
      ),
    ),
    ...(more > 0 ? [`  … and ${more} more: --json has them all`] : []),
  ];
}

const indented = (text: string, indent = '    ') => text.split('\n').map((line) => `${indent}${plain(line)}`.trimEnd());

/** Control characters, which could rewrite a terminal, are shown as what they are. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => (character === '\n' ? ' ' : '�'));
}
