import { describe, expect, it } from 'vitest';
import { narrated, type Piece, pieceOf } from '../../../src/core/language/narration.ts';
import type { WrittenText } from '../../../src/core/language/votes.ts';
import { phrases, source } from '../../fakes/failing-twice.ts';

const written = (text: string, stopReason: WrittenText['stopReason'] = 'stop'): WrittenText => ({ text, stopReason });
const piece = (index: number, sofar = 'So far.') => pieceOf(source.plan.events[index]!, source, sofar);

describe('what a narrator is asked', () => {
  it('is a step’s rewriting, with the problem and the text so far', () => {
    expect(piece(0, '')).toEqual({
      template: 'Step 1: add 7.\n\n',
      ask: {
        prompt: 'step',
        values: { problem: 'Which digits did I think of?', text: '(nothing yet)', step: 'Step 1: add 7.' },
        tries: 2,
      },
    });
  });

  it('shows a failed attempt’s last step without its box, and the right one’s with it', () => {
    expect(piece(2).ask?.values.step).toBe('Step 3: add 1.\nThe total is 16.');
    expect(piece(9).ask?.values.step).toBe('Step 3: add 4.\nThe total is \\boxed{9}.');
  });

  it('is one sentence where the trace goes back, with the step it goes back to', () => {
    expect(piece(8).ask).toMatchObject({ prompt: 'backtrack', values: { target: 'Step 2: add 3.' }, tries: 1 });
    expect(piece(3).ask).toMatchObject({ prompt: 'restart', values: { text: 'So far.' }, tries: 1 });
  });

  it('is nothing where the text is fixed', () => {
    expect(piece(5)).toEqual({ template: `${phrases.reflection}\n${phrases.positive}\n\n`, ask: null });
    expect(piece(10).ask).toBeNull();
  });

  it('holds the end of a long text only', () => {
    const text = piece(1, Array.from({ length: 5_000 }, (_, i) => `line ${i}`).join('\n')).ask?.values.text ?? '';
    expect(text.length).toBeLessThanOrEqual(12_000);
    expect(text).toMatch(/^…line \d+\n/);
    expect(text).toMatch(/line 4999$/);
  });
});

describe('an answer of a narrator', () => {
  const use = (of: Piece, text: string, stopReason?: WrittenText['stopReason']) =>
    narrated(of, written(text, stopReason), phrases);

  it('stands between the tags, or is the whole text; the separators stay', () => {
    expect(use(piece(0), 'Sure!\n<text>\nWe add 7.\n</text>\nDone.')).toBe('We add 7.\n\n');
    expect(use(piece(0), '  We add 7. ')).toBe('We add 7.\n\n');
    expect(use(piece(0), '<think>Shall I say 7?</think>\nWe add 7.')).toBe('We add 7.\n\n');
    expect(use(piece(0), '<text>We add 7.')).toBe('We add 7.\n\n');
    expect(use(piece(0), '<text>We add 7.</text> and so on', 'length')).toBe('We add 7.\n\n');
    expect(use(piece(9), 'We add 4: \\boxed{9}.')).toBe('We add 4: \\boxed{9}.');
  });

  it('is a sentence after the fixed reflection and verdict', () => {
    const sentence = "Let's go back to where we added 3.";
    const whole = `${phrases.reflection}\n${phrases.negative} ${sentence}\n\n`;
    expect(use(piece(8), `<text>${sentence}</text>`)).toBe(whole);
    expect(use(piece(8), sentence.replace("'", '’'))).toBe(whole);
    expect(use(piece(3), "Let's restart our solution from the beginning, slowly.")).toContain('beginning, slowly.\n\n');
  });

  it.each<[what: string, index: number, text: string, stopReason?: WrittenText['stopReason']]>([
    ['blank', 0, '<text> </text>'],
    ['cut off', 0, 'We add', 'length'],
    ['with the reflection', 0, `We add 7. ${phrases.reflection}`],
    ['with a verdict in other letters', 0, `We add 7. ${phrases.positive.toUpperCase()}`],
    ['with a curly-quoted return', 0, 'We add 7. Let’s go back to where we began.'],
    ['that begins otherwise', 8, "OK. Let's go back to where we added 3."],
    ['of several lines', 8, "Let's go back to where we added 3.\n\nThen add 4."],
    ['that is too long', 8, `Let's go back to where we ${'really '.repeat(80)}added 3.`],
    ['with a second return', 8, "Let's go back to where we added 3. Let's restart our solution from the beginning."],
    ['with a box', 3, "Let's restart our solution from the beginning to find \\boxed{9}."],
    ['for a restart that goes back', 3, "Let's go back to where we added 3."],
  ])('%s is not used', (_what, index, text, stopReason) => {
    expect(use(piece(index), text, stopReason)).toBeNull();
  });
});
