import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { cutAtStop, type RawCompletion } from '../../src/services/sampler/cut-at-stop.ts';

const renderer = tokenizerRenderer('test/fixtures/chat/chatml', 'chat');
const { encode, decode, eosToken } = renderer;

const asked = { stops: ['\n\n'], keepStop: true, logprobs: 'wanted' as const };
const raw = (change: Partial<RawCompletion> & { text: string }): RawCompletion => ({
  tokens: null,
  logprobs: null,
  stopReason: 'stop',
  ...change,
});
/** Text with the tokens that write it, each with a log-probability of its own. */
const sampled = (text: string, change: Partial<RawCompletion> = {}): RawCompletion => {
  const tokens = encode(text);
  return raw({ text, tokens, logprobs: tokens.map((_, index) => -index - 1), ...change });
};
const cut = (from: RawCompletion, change: object = {}) => cutAtStop(from, { ...asked, ...change }, renderer);

describe('a completion with stop strings', () => {
  const step = 'We add 7 and 21.\n\n';

  it('is the same step, whatever the server did with the string that ends it', () => {
    const expected = { text: step, tokens: encode(step), stopReason: 'stop' };
    const servers: Record<string, RawCompletion> = {
      kept: sampled(step),
      'removed from the text only': { ...sampled(step), text: 'We add 7 and 21.' },
      'removed, saying which': raw({ text: 'We add 7 and 21.', endedBy: { stop: '\n\n' } }),
      'removed, saying nothing': raw({ text: 'We add 7 and 21.' }),
      'removed from text and tokens': sampled('We add 7 and 21.'),
      ignored: sampled(`${step}Then we are done.\n\nReally`, { stopReason: 'length' }),
      'ignored, text only': raw({ text: `${step}Then`, stopReason: 'length' }),
    };
    for (const [what, from] of Object.entries(servers)) {
      const { logprobs: _logprobs, ...completion } = cut(from);
      expect({ what, ...completion, written: decode(completion.tokens) }).toEqual({
        what,
        ...expected,
        tokens:
          what === 'removed from text and tokens'
            ? [...encode('We add 7 and 21.'), ...encode('\n\n')]
            : expected.tokens,
        written: step,
      });
      expect(cut(from, { keepStop: false }).text).toBe('We add 7 and 21.');
      expect(decode(cut(from, { keepStop: false }).tokens)).toBe('We add 7 and 21.');
    }
  });

  it('keeps the log-probabilities of the tokens that it keeps', () => {
    const whole = sampled(`${step}Then`);
    const completion = cut(whole);
    expect(completion.tokens).toEqual(whole.tokens?.slice(0, completion.tokens.length));
    expect(completion.logprobs).toEqual(whole.logprobs?.slice(0, completion.tokens.length));
  });

  it('encodes the rest anew where a token reaches beyond the string', () => {
    // One token for three line breaks would be such a one; here it is a word.
    const from = sampled('The answer is 28', { logprobs: null });
    const word = encode(' answer');
    expect(word).toHaveLength(1);
    const tokens = [...encode('The'), ...word];
    const withRest = cut({ ...from, tokens, text: 'The answer', logprobs: [-1, -3] }, { stops: [' ans'] });
    expect(withRest).toMatchObject({ text: 'The ans', stopReason: 'stop' });
    expect(decode(withRest.tokens)).toBe('The ans');
    const rest = withRest.tokens.length - 1;
    expect(withRest.logprobs).toEqual([-1, ...Array(rest).fill(-3 / rest)]);
  });

  it('gives training nothing that was not sampled', () => {
    const tokens = encode('The answer');
    const completion = cut(raw({ text: 'The answer', tokens, logprobs: [-1, -3] }), {
      stops: [' ans'],
      keepStop: false,
      logprobs: 'required',
    });
    expect(completion).toEqual({ text: 'The', tokens: tokens.slice(0, 1), logprobs: [-1], stopReason: 'stop' });
    const kept = cut(raw({ text: 'The answer', tokens, logprobs: [-1, -3] }), {
      stops: [' ans'],
      logprobs: 'required',
    });
    expect(kept).toEqual({ text: 'The ans', tokens: tokens.slice(0, 1), logprobs: [-1], stopReason: 'stop' });
  });

  it('does not end where the answer ended by itself', () => {
    const text = 'The answer is 28.';
    expect(cut(sampled(text, { endedBy: 'end-of-text' })).text).toBe(text);
    expect(cut(raw({ text, endedBy: 'end-of-text' }))).toEqual({
      text,
      tokens: [...encode(text), eosToken],
      stopReason: 'stop',
    });
    const ended = [...encode(text), eosToken];
    expect(cut(raw({ text, tokens: ended }))).toMatchObject({ text, tokens: ended, stopReason: 'stop' });
    expect(cut(sampled(text, { stopReason: 'length' }))).toMatchObject({ text, stopReason: 'length' });
  });

  it('ends with the end of the text, even where a server samples on behind it', () => {
    const tokens = [...encode('28.'), eosToken, ...encode(' And\n\n')];
    const logprobs = tokens.map((_, index) => -index);
    const completion = cut(raw({ text: decode(tokens), tokens, logprobs, stopReason: 'length' }));
    const length = encode('28.').length + 1;
    expect(completion).toEqual({
      text: '28.',
      tokens: tokens.slice(0, length),
      logprobs: logprobs.slice(0, length),
      stopReason: 'stop',
    });
  });

  it('leaves out the end of the text behind a string that it ends with', () => {
    const tokens = [...encode(step), eosToken];
    expect(cut(raw({ text: step, tokens })).tokens).toEqual(encode(step));
  });

  it('ends at the string that is complete first, and at the longer one of two', () => {
    const text = 'a\n## b\n\n';
    expect(cut(sampled(text), { stops: ['\n\n', '\n##', '##'] }).text).toBe('a\n##');
    expect(cut(sampled(text), { stops: ['##', '\n##'], keepStop: false }).text).toBe('a');
  });

  it('takes the first string where the server says that one ended the text, but not which', () => {
    expect(cut(raw({ text: 'a' }), { stops: ['\n##', '\n\n'] }).text).toBe('a\n##');
    expect(cut(raw({ text: 'a', endedBy: { stop: '\n\n' } }), { stops: ['\n##', '\n\n'] }).text).toBe('a\n\n');
  });

  it('has the text up to the first string and tokens that write it, for every text and every cut', () => {
    const piece = fc.constantFrom('We add', ' 7', '\n', '\n\n', '.', '🎲', ' é', '##', ' answer', '\\boxed{28}');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.uniqueArray(fc.constantFrom('\n\n', '\n##', '.', ' ans', '🎲'), { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        fc.boolean(),
        (pieces, stops, keepStop, textOnly) => {
          const text = pieces.join('');
          const from = sampled(text, { stopReason: 'length' });
          const ends = stops.flatMap((stop) => (text.includes(stop) ? [text.indexOf(stop) + stop.length] : []));
          const end = Math.min(...ends, text.length);
          const completion = cut(textOnly ? { ...from, tokens: null } : from, { stops, keepStop });
          const kept = text.slice(0, end);
          if (keepStop || ends.length === 0) expect(completion.text).toBe(kept);
          else expect(stops.some((stop) => completion.text + stop === kept)).toBe(true);
          expect(decode(completion.tokens)).toBe(completion.text);
          expect(completion.logprobs).toHaveLength(completion.tokens.length);
          expect(completion.stopReason).toBe(ends.length > 0 ? 'stop' : 'length');
        },
      ),
    );
  });
});

describe('a completion without stop strings', () => {
  it('is what was sampled', () => {
    const from = sampled('a\n\nb', { stopReason: 'length' });
    expect(cut(from, { stops: [] })).toEqual({
      text: 'a\n\nb',
      tokens: from.tokens,
      logprobs: from.logprobs,
      stopReason: 'length',
    });
    expect(cut(from, { stops: [], logprobs: false })).toEqual({
      text: 'a\n\nb',
      tokens: from.tokens,
      stopReason: 'length',
    });
  });

  it('ends with the end of the text where only the text is known', () => {
    expect(cut(raw({ text: 'a' }), { stops: [] }).tokens).toEqual([...encode('a'), eosToken]);
  });

  it('gives tokens of ours the mean of log-probabilities that belong to other ones', () => {
    const { tokens, logprobs } = cut(raw({ text: 'We add 7', logprobs: [-1, -2] }), { stops: [] });
    expect(logprobs).toEqual(tokens.map(() => -1.5));
  });
});
