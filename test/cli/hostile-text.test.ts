import { describe, expect, it } from 'vitest';
import { describeFailure } from '../../src/cli/failure.ts';
import { logLine, renderProgress } from '../../src/cli/progress.ts';
import type { Progress } from '../../src/core/progress.ts';

/** Clears the screen, sets the window's title, goes up a line, asks the terminal for an answer. */
const hostile = '\u001b[2J\u001b]0;owned\u0007\u001b[1A\u009b6n\r';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not come out
const obeyed = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

describe('a terminal', () => {
  it('gets no control character of what a model or a server said: in what a run asks, its notes and its failure', () => {
    const progress = {
      run: 'demo',
      attention: `stuck ${hostile}`,
      stages: [
        {
          name: 'search',
          state: 'attention',
          done: 1,
          total: 2,
          unit: 'problems',
          tokens: 0,
          note: `note ${hostile}`,
          attention: {
            what: `a problem ${hostile}`,
            why: `ServiceRefused: ${hostile}`,
            sinceMs: 0,
            offers: {},
            refuses: {},
          },
        },
      ],
    } as unknown as Progress;
    const lines = renderProgress(progress, { nowMs: 0, width: 200, color: false });
    expect(lines.join('\n')).toContain('ServiceRefused');
    expect(lines.join('\n')).not.toMatch(obeyed);
    expect(logLine(progress.stages[0]!, 0)).not.toMatch(obeyed);
    expect(describeFailure(new Error(`refused: ${hostile}`))).not.toMatch(obeyed);
  });
});
