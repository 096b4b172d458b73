import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clock, label, logLine, renderProgress, short } from '../../src/cli/progress.ts';
import { msLeft, shareOf, tokenRate } from '../../src/core/pace.ts';
import type { StageProgress } from '../../src/core/progress.ts';

const search: StageProgress = {
  name: 'search',
  state: 'running',
  done: 100,
  total: 400,
  unit: 'problems',
  tokens: 123_456,
  startedAtMs: 0,
};
const plain = { nowMs: 10_000, width: 120, color: false };
const draw = (stage: StageProgress, options = plain) => renderProgress({ run: 'demo', stages: [stage] }, options)[0];

const anyStage: fc.Arbitrary<StageProgress> = fc.record(
  {
    name: fc.constantFrom('search', 'sft', 'rl', 'evaluate'),
    arm: fc.constantFrom('search', 'direct'),
    state: fc.constantFrom('waiting', 'running', 'done', 'reused', 'failed'),
    done: fc.nat(2000),
    total: fc.nat(1000),
    unit: fc.constant('steps'),
    tokens: fc.nat(1_000_000_000),
    note: fc.string(),
    startedAtMs: fc.nat(100_000),
    endedAtMs: fc.nat(100_000),
  },
  { requiredKeys: ['name', 'state', 'done', 'total', 'unit', 'tokens'] },
);

describe('the progress of a run', () => {
  it('shows bar, share, counts, tokens, rate, time and time left of a running stage', () => {
    expect(draw(search)).toBe(
      'search        █████░░░░░░░░░░░░░░░  25%  100/400 problems  123k tokens  12.3k tok/s  0:10  0:30 left',
    );
  });

  it('shows nothing but the empty bar of a stage that waits', () => {
    expect(draw({ ...search, arm: 'direct', name: 'rl', state: 'waiting', done: 0, tokens: 0 })).toBe(
      'rl direct     ░░░░░░░░░░░░░░░░░░░░   0%',
    );
  });

  it('says that a stage was reused, and claims no rate for it', () => {
    const line = draw({ ...search, state: 'reused', done: 400 });
    expect(line).toContain('100%');
    expect(line).toContain('reused');
    expect(line).not.toContain('tok/s');
  });

  it('keeps the time of an ended stage', () => {
    expect(draw({ ...search, state: 'done', endedAtMs: 75_000 }, { ...plain, nowMs: 999_000 })).toContain('1:15');
  });

  it('says what is asked, why, since when, and what to type', () => {
    const attention = {
      what: 'steps 2 to 4',
      why: 'ServiceRefused: too long',
      sinceMs: Date.UTC(2026, 0, 5, 10, 12, 44),
      offers: { retry: 'tries again', abort: 'ends the run' },
      refuses: { skip: 'what follows needs it' },
    };
    const asking: StageProgress = { ...search, name: 'sft', arm: 'search', state: 'attention', attention };
    const draw = (workflowId: string) => renderProgress({ run: 'demo', workflowId, stages: [asking] }, plain);
    expect(draw('astro/demo').slice(1)).toEqual([
      '! sft search needs attention since 2026-01-05T10:12:44Z: steps 2 to 4',
      '  ServiceRefused: too long',
      '  npx astroflow resolve demo retry  tries again',
      '  npx astroflow resolve demo abort  ends the run',
      '  not possible: skip, what follows needs it',
    ]);
    expect(draw('astro/demo/fineTune').at(-2)).toBe('  npx astroflow resolve astro/demo/fineTune abort  ends the run');
  });

  it('says that a run is paused', () => {
    const stage: StageProgress = { ...search, state: 'paused' };
    const [line, notice] = renderProgress({ run: 'demo', paused: true, stages: [stage] }, plain);
    expect(line).toMatch(/ {2}paused$/);
    expect(notice).toBe('! paused; `npx astroflow resume demo` goes on');
  });

  it('puts what waits for a person under the stages', () => {
    const lines = renderProgress({ run: 'demo', stages: [search], attention: 'the engine is gone' }, plain);
    expect(lines.at(-1)).toBe('! the engine is gone');
  });

  it('leaves out facts, then the bar, where a terminal is narrow, and never the counts before them', () => {
    const stage = { ...search, note: 'page 2' };
    const at = (width: number) => draw(stage, { ...plain, width });
    expect(at(80)).toBe('search        █████░░░░░░░░░░░░░░░  25%  100/400 problems  0:30 left  page 2');
    expect(at(72)).toBe('search        █████░░░░░░░░░░░░░░░  25%  100/400 problems  0:30 left');
    expect(at(60)).toBe('search        ███░░░░░░░  25%  100/400 problems  0:30 left');
    expect(at(40)).toBe('search         25%  100/400 problems');
  });

  it('wraps what to type instead of cutting it off', () => {
    const attention = 'astro/demo: its workflow task failed 3 times; the log says why';
    const lines = renderProgress({ run: 'demo', stages: [], attention }, { ...plain, width: 30 });
    expect(lines.every((line) => line.length <= 30)).toBe(true);
    expect(lines.map((line) => line.trim()).join(' ')).toBe(`! ${attention}`);
  });

  it('keeps what runs and what is asked where there are more stages than lines', () => {
    const stages = (['done', 'running', 'waiting', 'waiting'] as const).map((state) => ({ ...search, state }));
    const progress = { run: 'demo', stages, attention: 'look here' };
    const shown = renderProgress(progress, { ...plain, height: 2 });
    expect(shown).toHaveLength(2);
    expect(shown[0]).toContain('left');
    expect(shown[1]).toBe('! look here');
  });

  it('fits any terminal', () => {
    fc.assert(
      fc.property(anyStage, fc.integer({ min: 1, max: 150 }), (stage, width) => {
        expect((draw(stage, { ...plain, width }) as string).length).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('has a share between nothing and all, whatever was counted', () => {
    fc.assert(
      fc.property(anyStage, (stage) => {
        expect(shareOf(stage)).toBeGreaterThanOrEqual(0);
        expect(shareOf(stage)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('names the arm of a stage', () => {
    expect(label({ name: 'sft', arm: 'direct' })).toBe('sft direct');
    expect(logLine({ ...search, note: 'page 2' }, 10_000)).toBe(
      'search  running  100/400 problems  123k tokens  12.3k tok/s  0:10  0:30 left  page 2',
    );
  });

  it('has no rate before a second has passed', () => {
    expect(tokenRate(search, 900)).toBeNull();
    expect(tokenRate(search, 2000)).toBe(61_728);
  });

  it('knows no time left of what does not run, has not begun to count, or is over', () => {
    expect(msLeft(search, 10_000)).toBe(30_000);
    expect(msLeft({ ...search, state: 'paused' }, 10_000)).toBeNull();
    expect(msLeft({ ...search, done: 0 }, 10_000)).toBeNull();
    expect(msLeft({ ...search, done: 400 }, 10_000)).toBeNull();
    expect(msLeft({ ...search, total: 0 }, 10_000)).toBeNull();
  });

  it('writes numbers and times short', () => {
    expect([0, 999, 1234, 99_949, 123_456, 999_499, 999_500, 12_345_678].map(short)).toEqual([
      '0',
      '999',
      '1.2k',
      '99.9k',
      '123k',
      '999k',
      '1.0M',
      '12.3M',
    ]);
    expect([0, 59_999, 60_000, 3_725_000].map(clock)).toEqual(['0:00', '0:59', '1:00', '1:02:05']);
  });
});
