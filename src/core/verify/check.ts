import { compareValues } from './compare/compare.ts';
import { LimitError, newBudget, UndefinedError } from './limits.ts';
import { exactValue } from './numbers/exact.ts';
import { type Parsed, parseAnswer } from './parse/parse-answer.ts';
import type { Value } from './values.ts';
import { different, equal, type Options, unknown, type Verdict } from './verdict.ts';

export interface CheckOptions {
  /** For rewards: no approximations, no missing brackets, no unworked sums. Off for evaluation. */
  strict?: boolean;
}

/**
 * Is the prediction the gold answer? Deterministic, never throws, and bounded in time whatever the texts are.
 * `unknown` where the gold answer cannot be read, a text has two readings, or a cap stopped the comparison.
 */
export function checkAnswer(gold: string, prediction: string, options: CheckOptions = {}): Verdict {
  const parsedGold = parseAnswer(gold);
  if (!parsedGold.ok) return unknown(`the gold answer cannot be read: ${parsedGold.error}`);
  const parsed = parseAnswer(prediction);
  if (!parsed.ok) {
    const reason = `the answer cannot be read: ${parsed.error}`;
    return parsed.kind === 'malformed' ? different(reason) : unknown(reason);
  }
  return comparison(parsedGold, parsed, { strict: options.strict ?? false, budget: newBudget() });
}

function comparison(gold: Parsed & { ok: true }, prediction: Parsed & { ok: true }, options: Options): Verdict {
  try {
    const flaw = flawOf(gold.value, options);
    if (flaw !== null) return unknown(`the gold answer has no value: ${flaw}`);
    if (squeeze(gold.text) === squeeze(prediction.text)) return equal('the same text');
    return compareValues(gold.value, prediction.value, options);
  } catch (error) {
    if (error instanceof UndefinedError) return unknown(error.message);
    if (error instanceof LimitError) return unknown(`it could not be worked out: ${error.message}`);
    // A cap that was missed, for example a stack overflow or a bigint beyond the engine's, must not end a run.
    return unknown(`it could not be worked out (${error instanceof Error ? error.name : 'error'})`);
  }
}

function squeeze(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** Can a gold answer be checked against at all? If not, its problem has no place in a data set. */
export function isCheckable(gold: string): { ok: true } | { ok: false; reason: string } {
  const parsed = parseAnswer(gold);
  if (!parsed.ok) return { ok: false, reason: parsed.error };
  try {
    const flaw = flawOf(parsed.value, { strict: false, budget: newBudget() });
    return flaw === null ? { ok: true } : { ok: false, reason: flaw };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'it cannot be worked out' };
  }
}

/** Why a value does not exist, as 1/0; null when it does, or when that is not plain to see. */
function flawOf(value: Value, options: Options): string | null {
  const parts: readonly Value[] =
    value.kind === 'list' || value.kind === 'set' || value.kind === 'tuple'
      ? value.items
      : value.kind === 'chain' || value.kind === 'union'
        ? value.parts
        : value.kind === 'matrix'
          ? value.rows.flat()
          : [];
  for (const part of parts) {
    const flaw = flawOf(part, options);
    if (flaw !== null) return flaw;
  }
  if (value.kind !== 'scalar') return null;
  try {
    exactValue(value.expression, options.budget);
    return null;
  } catch (error) {
    if (error instanceof UndefinedError) return error.message;
    throw error;
  }
}
