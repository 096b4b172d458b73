import { checkAnswer } from './check.ts';
import { extractAnswer } from './extract.ts';

export interface GradeOptions {
  strict?: boolean;
}

/** A row that was graded. `row` has the fields of the input and those of the grade. */
export type Graded =
  | { kind: 'verdict'; verdict: true | false | 'unknown'; row: Record<string, unknown> }
  | { kind: 'extract'; found: boolean; row: Record<string, unknown> }
  | { kind: 'bad'; message: string };

/**
 * Grades one row: `{ gold, prediction }`, an answer, or `{ gold, response }`, a whole text. Adds `verdict`,
 * `extracted` (what was compared, null for a response without an answer) and `reason`. A gold answer may be bare, in
 * a box, or the last line of a solution as GSM8K writes it; numbers may be JSON numbers.
 * `{ kind: 'extract', response }` only extracts. Never throws; a row of another shape is `bad`.
 */
export function gradeRow(row: unknown, options: GradeOptions = {}): Graded {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return bad('is not a JSON object');
  const fields = row as Record<string, unknown>;
  if (fields.kind === 'extract') return extraction(fields);
  if (fields.kind !== undefined && fields.gold === undefined) return bad('has no "gold"');
  const gold = textOf(fields.gold);
  if (gold === null)
    return bad(fields.gold === undefined ? 'has no "gold"' : '"gold" is neither a text nor a number below 2^53');
  const hasPrediction = fields.prediction !== undefined;
  if (!hasPrediction && fields.response === undefined) return bad('has neither "prediction" nor "response"');
  if (hasPrediction && fields.response !== undefined && fields.response !== null) {
    return bad('has both "prediction" and "response": it is not clear which one to grade');
  }
  const given = hasPrediction ? fields.prediction : fields.response;
  const text = given === null ? '' : textOf(given);
  const name = hasPrediction ? 'prediction' : 'response';
  if (text === null) return bad(`"${name}" is neither a text nor a number below 2^53`);

  const found = extractAnswer(text)?.answer ?? (hasPrediction ? text : null);
  const verdict =
    found === null
      ? ({ equal: false, reason: 'no boxed answer' } as const)
      : checkAnswer(extractAnswer(gold)?.answer ?? gold, found, options);
  return {
    kind: 'verdict',
    verdict: verdict.equal,
    row: { ...fields, verdict: verdict.equal, extracted: found, reason: verdict.reason },
  };
}

function extraction(fields: Record<string, unknown>): Graded {
  const text = textOf(fields.response ?? fields.text ?? fields.prediction);
  if (text === null) return bad('has no "response" to extract from');
  const found = extractAnswer(text);
  return { kind: 'extract', found: found !== null, row: { ...fields, extracted: found?.answer ?? null } };
}

/** A text, or the decimal of a JSON number; null for what is neither, or has lost digits: 2^53 and 2^53 + 1 are one. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number' || !Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER) return null;
  return String(value).replace('e', 'E');
}

function bad(message: string): Graded {
  return { kind: 'bad', message };
}
