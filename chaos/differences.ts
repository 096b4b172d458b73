import { isDeepStrictEqual } from 'node:util';
import { type Stored, valuesOf } from './stored.ts';

/** Fields that tell when and by which attempt something was made: all that a disturbed run may store otherwise. */
export const leftOut: readonly { artifacts: RegExp; fields: readonly string[] }[] = [
  { artifacts: /\/result[^/]*\.json$/, fields: ['startedAtMs', 'endedAtMs'] },
  // Which attempt of the activity made the call.
  { artifacts: /^rl\/.*\/rollouts-\d+\.jsonl$/, fields: ['attempt'] },
  // Which live model made the checkpoint: a retry makes a new one, and an iteration says so.
  { artifacts: /^(sft\/.*\/step-\d+|rl\/.*\/update)\.json$/, fields: ['live', 'restarts'] },
  {
    artifacts: /^runs\/.*\/summary\.json$/,
    fields: ['startedAtMs', 'endedAtMs', 'seconds', 'wallSeconds', 'wastedTokens', 'wastedBy', 'timings', 'restarts'],
  },
];

/** The reports are the summary in words and figures, with its times. */
const notCompared = /^runs\/.*\/report\.(md|html)$/;

/** What one store has and another has not, or has otherwise, by name. Everything else is equal byte by byte. */
export function differences(reference: Stored, disturbed: Stored): string[] {
  const names = [...new Set([...reference.keys(), ...disturbed.keys()])].sort();
  return names.flatMap((name) => {
    const before = reference.get(name);
    const after = disturbed.get(name);
    if (notCompared.test(name)) return [];
    if (after === undefined) return [`${name} is missing`];
    if (before === undefined) return [`${name} should not be there`];
    if (before.equals(after)) return [];
    const fields = leftOut.filter(({ artifacts }) => artifacts.test(name)).flatMap((rule) => rule.fields);
    if (fields.length === 0) return [`${name} has other bytes`];
    const where = firstDifference(without(valuesOf(name, before), fields), without(valuesOf(name, after), fields));
    return where === null ? [] : [`${name} differs at ${where}`];
  });
}

function without(value: unknown, fields: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => without(item, fields));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([field]) => !fields.includes(field))
      .map(([field, inner]) => [field, without(inner, fields)]),
  );
}

/** Path of the first place where two values differ; null where there is none. */
function firstDifference(a: unknown, b: unknown, path = '$'): string | null {
  if (isDeepStrictEqual(a, b)) return null;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return path;
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const inner = (value: object) => (value as Record<string, unknown>)[key];
    const found = firstDifference(inner(a), inner(b), `${path}.${key}`);
    if (found !== null) return found;
  }
  return path;
}
