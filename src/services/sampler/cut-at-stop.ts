import type { Renderer } from '../renderer/renderer.ts';
import type { Completion, SampleRequest, StopReason } from './sampler.ts';

/** What a server gave for one sample, as far as it said anything. */
export interface RawCompletion {
  /** What was sampled, or null where the server gives text only. */
  tokens: readonly number[] | null;
  text: string;
  /** One per token of the server's, whatever it was; null where there are none. */
  logprobs: readonly number[] | null;
  stopReason: StopReason;
  /** What ended the text, with `stopReason: 'stop'`: a stop string, the end-of-text token, or undefined when unsaid. */
  endedBy?: { stop: string } | 'end-of-text' | undefined;
}

/**
 * A completion as the request wants it, whatever its server made of the stop strings: kept, removed, ran past one inside
 * a token, or ignored and sampled on. The text ends with the first stop string or right before it (`keepStop`); an
 * answer ends with its end-of-text token, whatever follows.
 *
 * Tokens are those that were sampled, up to the text's end. Where one reaches beyond it, the rest of the text is encoded
 * anew and shares that token's log-probability: good enough to continue from, and nothing to train on. With
 * `logprobs: 'required'` only sampled tokens are given, each with its own log-probability, and that rest has none.
 *
 * A stop string that the server removed comes back where `keepStop` asks for it. A server that does not say what ended
 * its text is taken to have stopped at the first of the strings asked for, unless the tokens end with the end of the
 * text: a step that lacks its separator would be joined to the next one.
 */
export function cutAtStop(
  raw: RawCompletion,
  request: Pick<SampleRequest, 'stops' | 'keepStop' | 'logprobs'>,
  renderer: Pick<Renderer, 'encode' | 'decode' | 'eosToken'>,
): Completion {
  const sampled = untilEndOfText(raw, renderer);
  if (request.stops.length === 0) {
    const ended = sampled.stopReason === 'stop' ? ({ ...sampled, endedBy: 'end-of-text' } as const) : sampled;
    return asSampled(ended, request, renderer);
  }
  const whole = wholeText(sampled, renderer);
  const stop = firstStop(whole, request.stops);
  if (stop !== null) {
    const text = whole.slice(0, request.keepStop ? stop.end : stop.start);
    return { ...upTo(text, sampled, request, renderer), stopReason: 'stop' };
  }
  const removed = request.keepStop ? removedStop(sampled, request.stops, renderer) : null;
  const completion = asSampled(sampled, request, renderer);
  if (removed === null) return completion;
  const text = completion.text + removed;
  if (sampled.tokens === null) return { ...encoded(text, sampled, request, renderer.encode), stopReason: 'stop' };
  if (request.logprobs === 'required') return { ...completion, text };
  const added = renderer.encode(removed);
  const { tokens, logprobs, stopReason } = completion;
  // As likely as what stands before it: it must not change a step's mean.
  const more = logprobs && { logprobs: [...logprobs, ...added.map(() => mean(logprobs))] };
  return { tokens: [...tokens, ...added], text, ...more, stopReason };
}

/** A server that only knows stop strings may sample on behind the end of the text. */
function untilEndOfText(
  raw: RawCompletion,
  { eosToken, decode }: Pick<Renderer, 'eosToken' | 'decode'>,
): RawCompletion {
  const end = raw.tokens?.indexOf(eosToken) ?? -1;
  if (raw.tokens === null || end === -1) return raw;
  const ended = { ...raw, stopReason: 'stop', endedBy: 'end-of-text' } as const;
  if (end === raw.tokens.length - 1) return ended;
  const tokens = raw.tokens.slice(0, end + 1);
  return { ...ended, tokens, text: decode(tokens), logprobs: raw.logprobs?.slice(0, end + 1) ?? null };
}

/** The text with what the server cut away from it, as far as tokens tell. */
function wholeText({ tokens, text }: RawCompletion, { decode }: Pick<Renderer, 'decode'>): string {
  if (tokens === null) return text;
  const decoded = decode(tokens);
  const lead = leadOf(text, decoded);
  return lead !== null ? lead + decoded : text;
}

/** Some vocabularies lose a text's first space when its tokens are decoded alone. Null: tokens of another text. */
function leadOf(text: string, decoded: string): string | null {
  return ['', ' '].find((lead) => (lead + decoded).startsWith(text)) ?? null;
}

/** The stop string that is complete first; of two that end together, the longer one. */
function firstStop(text: string, stops: readonly string[]): { start: number; end: number } | null {
  let first: { start: number; end: number } | null = null;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    const end = start + stop.length;
    if (start === -1 || stop === '') continue;
    if (first === null || end < first.end || (end === first.end && start < first.start)) first = { start, end };
  }
  return first;
}

/** The stop string that the server took away, where it ended the text. */
function removedStop(
  { tokens, stopReason, endedBy }: RawCompletion,
  stops: readonly string[],
  { eosToken }: Pick<Renderer, 'eosToken'>,
): string | null {
  if (stopReason !== 'stop' || endedBy === 'end-of-text' || tokens?.at(-1) === eosToken) return null;
  const said = endedBy?.stop;
  return said !== undefined && stops.includes(said) ? said : (stops[0] ?? null);
}

/** Tokens and log-probabilities of a text that is a beginning of what was sampled. */
function upTo(
  text: string,
  raw: RawCompletion,
  request: Pick<SampleRequest, 'logprobs'>,
  { encode, decode }: Pick<Renderer, 'encode' | 'decode'>,
): Omit<Completion, 'stopReason'> {
  const { tokens, logprobs } = raw;
  if (tokens === null) return encoded(text, raw, request, encode);
  const lead = leadOf(raw.text, decode(tokens));
  if (lead === null) return encoded(text, raw, request, encode);
  const { kept, length } = longestPrefix(tokens, text, lead, decode);
  const rest = request.logprobs === 'required' ? [] : encode(text.slice(length));
  const all = [...tokens.slice(0, kept), ...rest];
  if (logprobs?.length !== tokens.length) return { tokens: all, text, ...spread(all, logprobs, request) };
  const straddling = logprobs[kept] ?? 0;
  const own = [...logprobs.slice(0, kept), ...rest.map(() => straddling / rest.length)];
  return { tokens: all, text, ...(request.logprobs ? { logprobs: own } : {}) };
}

/** How many tokens write a beginning of the text, at most all of it, and how long that beginning is. */
function longestPrefix(
  tokens: readonly number[],
  text: string,
  lead: string,
  decode: Renderer['decode'],
): { kept: number; length: number } {
  // Decoded lengths grow with the tokens: find the first prefix that writes at least the text, then go back to one
  // that writes no more, and no half character.
  let [low, high] = [0, tokens.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lead.length + decode(tokens.slice(0, middle)).length >= text.length) high = middle;
    else low = middle + 1;
  }
  for (let kept = low; kept > 0; kept--) {
    const written = lead + decode(tokens.slice(0, kept));
    if (text.startsWith(written)) return { kept, length: written.length };
  }
  return { kept: 0, length: 0 };
}

/** What was sampled, uncut. */
function asSampled(
  raw: RawCompletion,
  request: Pick<SampleRequest, 'logprobs'>,
  { encode, eosToken }: Pick<Renderer, 'encode' | 'eosToken'>,
): Completion {
  const { tokens, text, logprobs, stopReason, endedBy } = raw;
  if (tokens === null) {
    const { tokens: made, ...rest } = encoded(text, raw, request, encode);
    if (endedBy !== 'end-of-text') return { tokens: made, ...rest, stopReason };
    const ended = [...made, eosToken];
    return { ...rest, tokens: ended, ...spread(ended, logprobs, request), stopReason };
  }
  return { tokens: [...tokens], text, ...spread(tokens, logprobs, request), stopReason };
}

/** A text whose sampled tokens nobody has. */
function encoded(
  text: string,
  { logprobs }: RawCompletion,
  request: Pick<SampleRequest, 'logprobs'>,
  encode: Renderer['encode'],
): Omit<Completion, 'stopReason'> {
  const tokens = encode(text);
  return { tokens, text, ...spread(tokens, logprobs, request) };
}

/** Log-probabilities of other tokens than these only give a mean, which each of these gets. */
function spread(
  tokens: readonly number[],
  logprobs: readonly number[] | null,
  request: Pick<SampleRequest, 'logprobs'>,
): { logprobs?: number[] } {
  if (!request.logprobs || logprobs === null) return {};
  return { logprobs: logprobs.length === tokens.length ? [...logprobs] : tokens.map(() => mean(logprobs)) };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
