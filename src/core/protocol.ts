import { contentKey } from './key.ts';
import type { Json } from './problem.ts';

/**
 * How a checkpoint was asked and graded: all that moves a score apart from the checkpoint itself and from chance. Two
 * scores compare checkpoints only where their protocols are equal. Samples per problem and seed are not part of it: they
 * change how sure a score is, not what it estimates. What was not recorded is null, and two nulls are equal.
 */
export interface Protocol {
  schema: 'astroflow.protocol/1';
  benchmark: string;
  /** The benchmark's problems: hash of the stored set, and how many there are. */
  problems: { sha256: string; count: number };
  task: { name: string; [option: string]: Json };
  /** SHA-256 of all prompts' messages, in the order of the problems. */
  prompts: string | null;
  /** Vocabulary and chat template: the renderer's hash. */
  template: string | null;
  decoding: { temperature: number; maxTokens: number; stops: string[] };
  /** What sampled: the kind of sampler, whether it was sent tokens or text, and what the server calls itself. */
  engine: { sampler: string; prompts: string | null; version: string | null };
  /** Version of the task, whose rules grade. */
  grader: number | null;
}

/** Sixteen hexadecimal digits; equal for equal protocols and for no others. */
export function protocolHash(protocol: Protocol): string {
  // The benchmark's name is what a person calls it: the problems say which it is.
  const { benchmark: _name, ...content } = protocol;
  return contentKey(content as unknown as Json);
}

/** Paths of what differs between two protocols, with both values; empty where their hashes are equal. */
export function protocolDifferences(a: Protocol, b: Protocol): { path: string; from: Json; to: Json }[] {
  const { benchmark: _a, ...before } = a;
  const { benchmark: _b, ...after } = b;
  return differences(before as unknown as Json, after as unknown as Json);
}

/** Every leaf that two JSON values have differently, as a dotted path; an absent value is null. */
export function differences(a: Json, b: Json, path = ''): { path: string; from: Json; to: Json }[] {
  if (isObject(a) && isObject(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return keys.flatMap((key) => differences(a[key] ?? null, b[key] ?? null, path === '' ? key : `${path}.${key}`));
  }
  return JSON.stringify(a) === JSON.stringify(b) ? [] : [{ path, from: a, to: b }];
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
