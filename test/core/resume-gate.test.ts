import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describePass, passGap, probeData, probeTokens, resumeMismatch } from '../../src/core/resume-gate.ts';

const at = { id: 'k/step-2', trainerState: 'tinker://run-1/weights/step-2-a1' };
const limits = { maxLogprobGap: 0.01, maxTokenGap: 1 };
const row = { tokens: [5, 6, 7, 8], weights: [0, 0, 0.5, 0.5] };
const seen = (...logprobs: number[]) => describePass(at, [row], [[0, -9, ...logprobs]]);

describe('the record of a forward pass', () => {
  it('holds the log-probabilities of the targets that carry loss', () => {
    expect(seen(-1.23456789, -2)).toEqual({
      schema: 'astroflow.forward-pass/1',
      checkpoint: at.id,
      trainerState: at.trainerState,
      batch: expect.stringMatching(/^[0-9a-f]{16}$/),
      targets: 2,
      logprobs: [-1.234568, -2],
    });
    const rollout = { tokens: [5, 6, 7], logprobs: [0, -1, -1], advantages: [0, 0, -0.5] };
    expect(describePass(at, [rollout], [[0, -1, -2]]).logprobs).toEqual([-2]);
  });

  it('stays small: of a large batch it holds tokens from everywhere', () => {
    const tokens = Array.from({ length: 101 }, (_, i) => i);
    const long = { tokens, weights: tokens.map(() => 1) };
    const data = Array.from({ length: 100 }, () => long);
    const logprobs = data.map((_, i) => tokens.map((token) => -(i * 101 + token)));
    const pass = describePass(at, data, logprobs);
    expect(pass.targets).toBe(10_000);
    expect(pass.logprobs).toHaveLength(512);
    expect(new Set(pass.logprobs.map((value) => Math.floor(-(value ?? 0) / 101))).size).toBe(100);
    expect(JSON.stringify(pass).length).toBeLessThan(8192);
  });

  it('knows another batch by its tokens', () => {
    const other = describePass(at, [{ ...row, tokens: [5, 6, 7, 9] }], [[0, -9, -1, -2]]);
    expect(other.batch).not.toBe(seen(-1, -2).batch);
  });
});

describe('a probe', () => {
  it('is the first sequences of a batch, at most 512 tokens, each with a target', () => {
    const sequence = (length: number) => ({ tokens: Array.from({ length }, (_, i) => i) });
    const lengths = (...batch: number[]) => probeTokens(batch.map(sequence)).map((tokens) => tokens.length);
    expect(lengths(3, 4)).toEqual([3, 4]);
    expect(lengths(300, 1, 300, 300)).toEqual([300, 212]);
    expect(lengths(9000)).toEqual([512]);
    expect(lengths(511, 5)).toEqual([511]);
    expect(lengths()).toEqual([]);
  });

  it('asks for every token but the first', () => {
    expect(probeData([[7, 8, 9]])).toEqual([{ tokens: [7, 8, 9], weights: [0, 1, 1] }]);
  });
});

describe('the resume-equivalence gate', () => {
  it('lets an exact restore pass, and one within the bounds', () => {
    expect(resumeMismatch(seen(-1, -2), seen(-1, -2), { maxLogprobGap: 0, maxTokenGap: 0 })).toBeNull();
    expect(resumeMismatch(seen(-1, -2), seen(-1.005, -1.995), limits)).toBeNull();
  });

  it('names checkpoint, gap, bound and field where the mean is beyond its bound', () => {
    const reason = resumeMismatch(seen(-1, -2), seen(-1.1, -2.2), limits);
    expect(reason).toContain('checkpoint k/step-2 (tinker://run-1/weights/step-2-a1)');
    expect(reason).toContain('by 0.150, more than 0.01 per token (resume.maxLogprobGap)');
  });

  it('stops for a single token too, though the mean is small', () => {
    const many = { tokens: Array.from({ length: 400 }, (_, i) => i), weights: new Array(400).fill(1) };
    const before = describePass(at, [many], [many.tokens.map(() => -1)]);
    const after = describePass(at, [many], [many.tokens.map((token) => (token === 7 ? -3 : -1))]);
    expect(passGap(before, after).mean).toBeLessThan(limits.maxLogprobGap);
    expect(resumeMismatch(before, after, limits)).toContain('by 2.00, more than 1 of one token (resume.maxTokenGap)');
  });

  it('stops where a log-probability is no number on one side only', () => {
    expect(resumeMismatch(seen(Number.NaN, -2), seen(Number.NaN, -2), limits)).toBeNull();
    expect(resumeMismatch(seen(-1, -2), seen(Number.NaN, -2), limits)).toContain('Infinity');
  });

  it('stops where the batch is another, since rows would be skipped or doubled', () => {
    const other = describePass(at, [{ ...row, tokens: [5, 6, 7, 9] }], [[0, -9, -1, -2]]);
    expect(resumeMismatch(seen(-1, -2), other, limits)).toContain('skipped or doubled');
  });

  it('stops where the record began at another state', () => {
    const other = describePass({ ...at, trainerState: 'tinker://run-2/weights/x' }, [row], [[0, -9, -1, -2]]);
    expect(resumeMismatch(other, seen(-1, -2), limits)).toContain('another state');
  });

  it('has nothing against a batch without targets', () => {
    const empty = describePass(at, [], []);
    expect(passGap(empty, empty)).toEqual({ mean: 0, max: 0 });
    expect(resumeMismatch(empty, empty, limits)).toBeNull();
  });

  it('sees a gap that is symmetric, at least 0, and 0 only up to rounding', () => {
    const logprobs = fc.array(fc.double({ min: -20, max: 0, noNaN: true }), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(logprobs, logprobs, (a, b) => {
        const gap = passGap(seen(...a), seen(...b));
        expect(passGap(seen(...b), seen(...a))).toEqual(gap);
        expect(gap.max).toBeGreaterThanOrEqual(gap.mean);
        const largest = Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0))));
        expect(Math.abs(gap.max - largest)).toBeLessThanOrEqual(1.1e-6);
      }),
    );
  });
});
