import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inFlight } from '../../bench/clock.ts';
import { type BenchReport, figures, layOut, median, medianRatio } from '../../bench/report.ts';
import { byProblem } from '../../bench/requests.ts';
import type { SampleRequest } from '../../src/services/sampler/sampler.ts';

const rate = (count: number, seconds: number) => ({ count, seconds });

const report: BenchReport = {
  schema: 'astroflow.bench/1',
  startedAt: '2030-01-02T03:04:05.000Z',
  quick: false,
  machine: { platform: 'linux x64', cpu: 'a processor', cores: 2, memoryGiB: 8 },
  versions: {},
  search: {
    problems: 10,
    concurrency: 64,
    rounds: [
      {
        pipeline: rate(8000, 1),
        raw: rate(10_000, 1),
        requests: 50,
        cpu: { worker: 300, server: 200, engine: null },
        rawCpu: { worker: 80, server: 0, engine: null },
      },
    ],
    ratio: 0.8,
  },
};

describe('figures of a benchmark', () => {
  it('take the middle of the rounds', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
  });

  it('are not moved by one bad round', () => {
    const values = fc.array(fc.double({ min: 1, max: 2, noNaN: true }), { minLength: 3 });
    fc.assert(
      fc.property(values, fc.double({ min: 1e3, noNaN: true, noDefaultInfinity: true }), (good, bad) => {
        expect(median([...good, bad])).toBeLessThanOrEqual(2);
      }),
    );
  });

  it('compare within a round, so a machine that slows down changes no ratio', () => {
    const slowdowns = fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(slowdowns, (factors) => {
        const rounds = factors.map((factor) => ({ a: rate(300, factor), b: rate(100, factor) }));
        expect(
          medianRatio(
            rounds,
            (r) => r.a,
            (r) => r.b,
          ),
        ).toBeCloseTo(3, 9);
      }),
    );
  });

  it('are shown for the parts that were measured and the processes that the system shows', () => {
    expect(layOut(figures(report))).toBe(
      [
        'figure                        value  unit',
        'search through the pipeline   8,000  tokens/s',
        'same requests, raw engine    10,000  tokens/s',
        'pipeline ÷ raw                 0.80  ×',
        'worker per searched problem    30.0  CPU ms',
        'server per searched problem    20.0  CPU ms',
        'worker per problem, raw         8.0  CPU ms',
      ].join('\n'),
    );
  });
});

describe('replaying recorded requests', () => {
  it('keeps the order within a problem, whatever was recorded between', () => {
    const ids = ['a/0/expand-0', 'b/0/expand-0', 'a/0/rollout-0', 'b/0/rollout-0', 'a/1/expand-0'];
    const requests = ids.map((id) => ({ callId: `search/key/set/${id}` }) as SampleRequest);
    expect(byProblem(requests).map((group) => group.map(({ callId }) => callId.slice(15)))).toEqual([
      ['a/0/expand-0', 'a/0/rollout-0', 'a/1/expand-0'],
      ['b/0/expand-0', 'b/0/rollout-0'],
    ]);
  });

  it('does every item once and never more than the limit at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(20), fc.integer({ min: 1, max: 8 }), async (count, limit) => {
        const done: number[] = [];
        let running = 0;
        await inFlight([...Array(count).keys()], limit, async (item) => {
          running += 1;
          expect(running).toBeLessThanOrEqual(limit);
          await new Promise(setImmediate);
          running -= 1;
          done.push(item);
        });
        expect(done.sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
      }),
    );
  });
});
