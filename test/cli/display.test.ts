import { describe, expect, it } from 'vitest';
import { createDisplay } from '../../src/cli/display.ts';
import type { Progress, StageProgress } from '../../src/core/progress.ts';

function screen(options: Partial<NodeJS.WriteStream>) {
  const written: string[] = [];
  const out = { ...options, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
  return { written, out };
}

const at = (state: StageProgress['state'], done: number): Progress => ({
  run: 'demo',
  stages: [{ name: 'search', state, done, total: 10, unit: 'problems', tokens: 0, startedAtMs: 0 }],
});

describe('a terminal', () => {
  it('is redrawn in place, and printed lines stay above', () => {
    const { written, out } = screen({ isTTY: true, columns: 80, rows: 24 });
    const display = createDisplay(out, () => 0);
    display.print('link');
    display.update(at('running', 1));
    display.update(at('running', 2));
    display.print('note');
    expect(written[0]).toBe('link\n');
    expect(written[1]).not.toContain('\u001b[1A');
    expect(written[2]?.startsWith('\u001b[1A\u001b[0J')).toBe(true);
    expect(written[3]).toMatch(/note\n.*2\/10 problems/s);
  });
});

describe('a log', () => {
  it('gets a line at each change of state, and now and then in between', () => {
    const { written, out } = screen({});
    let nowMs = 100_000;
    const display = createDisplay(out, () => nowMs);
    display.update(at('waiting', 0));
    display.update(at('running', 0));
    nowMs += 1000;
    display.update(at('running', 3));
    nowMs += 15_000;
    display.update(at('running', 5));
    display.update(at('done', 10));
    expect(written.map((line) => line.match(/running|done/)?.[0])).toEqual(['running', 'running', 'done']);
    expect(written[1]).toContain('5/10');
  });

  it('says once what waits for a person', () => {
    const { written, out } = screen({});
    const display = createDisplay(out, () => 0);
    for (let i = 0; i < 3; i++) display.update({ run: 'demo', stages: [], attention: 'look here' });
    expect(written).toEqual(['! look here\n']);
  });
});
