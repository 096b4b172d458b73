import { describe, expect, it } from 'vitest';
import type { IndexedTree } from '../../src/activities/search.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { AnswerRecord, SftRow } from '../../src/core/records.ts';
import { countdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import { chooseTrees } from '../../src/inspect/report-data.ts';
import { readTranscripts } from '../../src/inspect/transcripts.ts';
import { memoryStore } from '../support/memory-store.ts';

const tree = (slug: string, solved = true, stored = true) =>
  ({ slug, solved, tree: stored ? { uri: slug, sha256: '', bytes: 1, count: 1 } : null }) as IndexedTree;
const row = (slug: string, backtracks: number, arm: SftRow['arm'] = 'search') =>
  ({ tree: slug, backtracks, arm }) as SftRow;

describe('the trees of a report', () => {
  it('are the first of their kind, each tree once', () => {
    const index = [tree('a'), tree('b', false), tree('c'), tree('d'), tree('e', false), tree('f', true)];
    const rows = [row('a', 1), row('a', 4), row('c', 1, 'direct'), row('c', 1), row('d', 4)];
    expect(chooseTrees(index, rows).map(({ slug, why }) => [slug, why])).toEqual([
      ['a', 'The first tree whose training text goes back 4 times, the most there is'],
      ['c', 'The first whose training text goes back once'],
      ['b', 'The first without a right answer'],
      ['f', 'The first with a right answer that gave no training text'],
    ]);
  });

  it('are fewer where there is none of a kind, and never one whose search failed', () => {
    expect(chooseTrees([tree('a', false, false)], [])).toEqual([]);
    expect(chooseTrees([tree('a')], [row('a', 1)]).map(({ slug }) => slug)).toEqual(['a']);
  });
});

describe('the transcripts of a report', () => {
  const problems = Array.from({ length: 6 }, (_, i) => countdownProblem([4, 9, 3], 30 + i, `p${i}`));
  const answer = (problem: number, sample: number, correct: boolean) =>
    ({
      problemId: `p${problem}`,
      sample,
      text: `answer ${problem}/${sample}`,
      tokens: 5,
      stopReason: 'stop',
      verdict: { correct, reason: 'because' },
    }) as AnswerRecord;

  it('are the first right and wrong ones of sample 0, in the order of the problems, over chunks', async () => {
    const store = memoryStore();
    const set = await store.putLines('problems', problems);
    const entry = { name: 'base', stage: null, stageKey: null };
    const evaluate = {
      key: 'k',
      task: { name: 'countdown' },
      checkpoints: [entry],
      benchmarks: [{ name: 'b', problems: set }],
      params: { problemsPerChunk: 3 },
    };
    const right = [true, false, true, true, false, false];
    for (const first of [0, 3]) {
      const answers = [0, 1, 2].flatMap((i) => [answer(first + i, 0, right[first + i]!), answer(first + i, 1, true)]);
      await store.putLines(artifactNames.answers('k', entry, 'b', first), answers);
    }
    const [group] = await readTranscripts(store, { evaluate } as unknown as Plan);
    expect(group?.examples.map(({ problemId, right: isRight }) => [problemId, isRight])).toEqual([
      ['p0', true],
      ['p1', false],
      ['p2', true],
      ['p4', false],
    ]);
    expect(group).toMatchObject({ checkpoint: 'base', benchmark: 'b', looked: 5 });
    expect(group?.examples[0]?.problem).toBe('Use 4 9 3 to make 30');
  });

  it('are none where nothing is stored', async () => {
    const plan = { evaluate: { benchmarks: [], checkpoints: [], params: {} } } as unknown as Plan;
    expect(await readTranscripts(memoryStore(), plan)).toEqual([]);
  });
});
