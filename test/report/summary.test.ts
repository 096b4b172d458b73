import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderReport } from '../../src/report/markdown.ts';
import { defaultTokenCaps } from '../../src/report/scores.ts';
import { buildSummary } from '../../src/report/summary.ts';
import { mostMatrixProblems, parseSummary, summarySchema } from '../../src/report/summary-schema.ts';
import { renderScores } from '../../src/report/terminal.ts';
import { answersOf, evaluationOf, example, input, protocolFor, stage } from './example.ts';

describe('summary of a run', () => {
  const summary = example;

  it('is valid, survives JSON unchanged and is a pure function of its input', () => {
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toEqual(summary);
    expect(buildSummary(input())).toEqual(summary);
  });

  it('scores every checkpoint on every benchmark, in the order given', () => {
    expect(summary.scores.map((score) => `${score.checkpoint}/${score.benchmark}`).slice(0, 6)).toEqual([
      'base/new-numbers',
      'direct-sft/new-numbers',
      'search-sft/new-numbers',
      'search-rl/new-numbers',
      'direct-rl/new-numbers',
      'base/new-problems',
    ]);
    const rl = summary.scores[3]!;
    const right = answersOf('search-rl', 'new-numbers', 0.6).filter((answer) => answer.verdict.correct === true).length;
    expect(rl).toMatchObject({ problems: 60, samplesPerProblem: 4, attempted: 240, backtracksPerAnswer: 2 });
    expect(rl.passAt1.value).toBeCloseTo(right / 240, 12);
    expect(rl.passAt1.low).toBeLessThan(rl.passAt1.value);
    expect(rl.passAt1.high).toBeGreaterThan(rl.passAt1.value);
    expect(rl.recoveries).toBeCloseTo(right / 240, 12);
  });

  it('knows no time below zero, whatever the server’s clock did', () => {
    const backwards = buildSummary({ ...input(), stages: [stage('search', 60, 20)] });
    expect(backwards.wallSeconds).toBe(0);
  });

  it('gives pass@k and maj@k for powers of two up to the samples, starting at pass@1', () => {
    const score = summary.scores[3]!;
    expect(score.passAtK.map(({ k }) => k)).toEqual([1, 2, 4]);
    expect(score.passAtK[0]?.value).toBeCloseTo(score.passAt1.value, 12);
    expect(score.majAtK[0]?.value).toBeCloseTo(score.passAt1.value, 12);
    expect(score.majAtK[2]!.value).toBeLessThanOrEqual(score.passAtK[2]!.value);
  });

  it('ends the accuracy curve at pass@1', () => {
    const score = summary.scores[3]!;
    expect(score.accuracyAtCaps.map(({ cap }) => cap)).toEqual([30, 60, 90, 120, 180, 240]);
    expect(score.accuracyAtCaps.at(-1)?.accuracy).toBeCloseTo(score.passAt1.value, 12);
  });

  it('compares the pairs that answer a question, on every benchmark, the headline first', () => {
    expect(summary.comparisons.map(({ from, to }) => `${from} → ${to}`)).toEqual(
      [
        'base → search-rl',
        'direct-rl → search-rl',
        'search-sft → search-rl',
        'base → direct-rl',
        'direct-sft → search-sft',
      ].flatMap((pair) => [pair, pair]),
    );
    const [headline] = summary.comparisons;
    const [base, , , rl] = summary.scores;
    expect(headline?.difference).toBeCloseTo(rl!.passAt1.value - base!.passAt1.value, 12);
    expect(headline?.low).toBeGreaterThan(0);
    expect(headline?.pHolm).toBeGreaterThanOrEqual(headline!.pValue);
  });

  it('leaves out comparisons whose checkpoints do not exist', () => {
    const all = input().evaluations;
    const searchArm = buildSummary(input({ evaluations: all.filter((e) => !e.checkpoint.startsWith('direct')) }));
    expect(new Set(searchArm.comparisons.map(({ from, to }) => `${from} → ${to}`))).toEqual(
      new Set(['base → search-rl', 'search-sft → search-rl']),
    );
    expect(buildSummary(input({ evaluations: [] }))).toMatchObject({ scores: [], comparisons: [] });
  });

  it('takes an answer that was cut off as wrong, even one that reads right, and lets it not vote', () => {
    const answers = answersOf('base', 'b', 1).map((answer) => ({ ...answer, stopReason: 'length' as const }));
    const [score] = buildSummary(input({ evaluations: [{ checkpoint: 'base', benchmark: 'b', answers }] })).scores;
    expect(score).toMatchObject({ passAt1: { value: 0, low: 0, high: 0 }, truncated: 1 });
    expect(score?.majAtK.map(({ value }) => value)).toEqual([0, 0, 0]);
  });

  it('copes with problems that lack samples', () => {
    const answers = answersOf('base', 'b', 0.5).slice(0, -3);
    const [score] = buildSummary(input({ evaluations: [{ checkpoint: 'base', benchmark: 'b', answers }] })).scores;
    expect(score).toMatchObject({ problems: 60, samplesPerProblem: 4, attempted: 237 });
    expect(score?.passAtK.map(({ k }) => k)).toEqual([1]);
  });

  it('measures wall time from the first start to the last end, leaving reused stages out', () => {
    expect(summary.wallSeconds).toBe(150);
    const reused = stage('search', -9000, -8000, { reused: true });
    expect(buildSummary(input({ stages: [reused, stage('sft', 10, 30)] })).wallSeconds).toBe(20);
    expect(buildSummary(input({ stages: [reused] })).wallSeconds).toBe(0);
  });
});

describe('a summary of schema 1', () => {
  const old: unknown = JSON.parse(readFileSync('test/fixtures/summary-1.json', 'utf8'));

  it('is still read: what it did not record is null or empty', () => {
    const { scores, comparisons, stages, protocols, matrix, problemSets } = parseSummary(old);
    expect(scores[0]).toMatchObject({ counts: null, revisions: null, protocol: null, passAt1WithoutErrors: null });
    expect(scores[0]?.accuracyAtCaps[0]).toMatchObject({ tokens: null });
    expect(comparisons[0]).toMatchObject({ sameProtocol: null });
    expect(stages[0]).toMatchObject({ wastedBy: null });
    expect([protocols, matrix, problemSets]).toEqual([[], [], []]);
  });

  it('can be shown', () => {
    const summary = parseSummary(old);
    expect(renderReport(summary)).toContain('# Run demo');
    expect(renderScores(summary, { color: false, width: 100 })).toContain('new-numbers');
  });
});

describe('protocols', () => {
  it('stand once for each benchmark, with the checkpoints that were asked by them', () => {
    expect(example.protocols.map(({ checkpoints, protocol }) => [protocol.benchmark, checkpoints.length])).toEqual([
      ['new-numbers', 5],
      ['new-problems', 5],
    ]);
    expect(new Set(example.scores.map(({ protocol }) => protocol))).toEqual(
      new Set(example.protocols.map(({ hash }) => hash)),
    );
    expect(example.comparisons.every(({ sameProtocol }) => sameProtocol === true)).toBe(true);
  });

  it('tell checkpoints apart that were asked in two ways', () => {
    const [base, rl] = [evaluationOf('base', 'b', 0.2), evaluationOf('search-rl', 'b', 0.6)];
    const other = { ...protocolFor('b'), decoding: { temperature: 0, maxTokens: 240, stops: [] } };
    const summary = buildSummary(input({ evaluations: [base, { ...rl, protocol: other }] }));
    expect(summary.protocols.map(({ checkpoints }) => checkpoints)).toEqual([['base'], ['search-rl']]);
    expect(summary.comparisons).toMatchObject([{ from: 'base', to: 'search-rl', sameProtocol: false }]);
  });
});

describe('the matrix of problems and checkpoints', () => {
  it('has right answers and samples of each problem, in the order of the checkpoints', () => {
    const [first] = example.matrix;
    expect(first?.checkpoints).toEqual(['base', 'direct-sft', 'search-sft', 'search-rl', 'direct-rl']);
    expect(first?.problems).toHaveLength(60);
    for (const [column, checkpoint] of first!.checkpoints.entries()) {
      const right = first!.problems.reduce((sum, problem) => sum + problem.right[column]!, 0);
      const samples = first!.problems.reduce((sum, problem) => sum + problem.samples[column]!, 0);
      const score = example.scores.find((one) => one.checkpoint === checkpoint && one.benchmark === first!.benchmark);
      expect(samples).toBe(240);
      expect(right / samples).toBeCloseTo(score!.passAt1.value, 12);
    }
  });

  it('holds a bounded number of problems and says how many are elsewhere', () => {
    const answers = Array.from({ length: mostMatrixProblems + 20 }, (_, i) => ({
      ...answersOf('base', 'b', 0.5)[0]!,
      problemId: `p${i}`,
    }));
    const { matrix } = buildSummary(input({ evaluations: [{ checkpoint: 'base', benchmark: 'b', answers }] }));
    expect(matrix[0]).toMatchObject({ omitted: 20, list: 'runs/demo/matrix.jsonl' });
    expect(matrix[0]?.problems).toHaveLength(mostMatrixProblems);
  });
});

describe('samples that errored', () => {
  it('count as wrong in the score, and are left out of the one beside it', () => {
    const answers = answersOf('base', 'b', 1).map((answer, i) =>
      i < 60 ? { ...answer, error: 'refused', verdict: { correct: false, reason: 'refused' }, tokens: 0 } : answer,
    );
    const [score] = buildSummary(input({ evaluations: [{ checkpoint: 'base', benchmark: 'b', answers }] })).scores;
    expect(score).toMatchObject({ attempted: 240, passAt1: { value: 0.75 }, passAt1WithoutErrors: { value: 1 } });
    expect(score?.counts).toMatchObject({ errored: 60, quarantined: 15, right: 180 });
  });
});

describe('token caps', () => {
  it('reach the limit and never repeat', () => {
    expect(defaultTokenCaps(240)).toEqual([30, 60, 90, 120, 180, 240]);
    expect(defaultTokenCaps(2)).toEqual([1, 2]);
  });
});
