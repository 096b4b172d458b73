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
    const display = createDisplay(out, () => 0, 'xterm');
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

describe('lines under the progress', () => {
  it('stay under it on a terminal, and come last in a log', () => {
    const terminal = screen({ isTTY: true, columns: 80, rows: 24 });
    const display = createDisplay(terminal.out, () => 0, 'xterm');
    display.update(at('running', 1));
    display.foot(['tokens 5 credited']);
    display.update(at('running', 2));
    expect(terminal.written.at(-1)).toMatch(/2\/10 problems.*\n.*tokens 5 credited\n$/);
    expect(terminal.written.at(-1)?.startsWith('\u001b[2A')).toBe(true);

    const log = screen({});
    const plain = createDisplay(log.out, () => 0);
    plain.foot(['tokens 5 credited']);
    plain.update(at('running', 1));
    plain.finish();
    expect(log.written.at(-1)).toBe('tokens 5 credited\n');
  });

  it('give way to what is asked where a terminal is low', () => {
    const { written, out } = screen({ isTTY: true, columns: 80, rows: 4 });
    const display = createDisplay(out, () => 0, 'xterm');
    display.foot(['tokens 5 credited']);
    display.update({ ...at('running', 1), attention: 'look here' });
    expect(written.at(-1)).toContain('! look here');
    expect(written.at(-1)?.split('\n').filter(Boolean).length).toBeLessThanOrEqual(3);
  });
});

describe('a dumb terminal', () => {
  it('gets lines as a log does', () => {
    const { written, out } = screen({ isTTY: true, columns: 80, rows: 24 });
    createDisplay(out, () => 0, 'dumb').update(at('running', 1));
    expect(written.join('')).not.toContain('\u001b');
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
