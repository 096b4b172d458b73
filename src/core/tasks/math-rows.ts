import { sha256Hex } from '../key.ts';
import { type Json, type Problem, ProblemRowError, UnusableProblem } from '../problem.ts';
import { extractAnswer, isCheckable } from '../verify/index.ts';

export const mathFormats = ['gsm8k', 'math', 'aime', 'amc', 'plain'] as const;
export type MathFormat = (typeof mathFormats)[number];

/** A question in words, and a reference answer that the checker can read. */
export type MathProblem = Problem<{
  problem: string;
  answer: string;
  format: MathFormat;
  /** Of the MATH data set: difficulty 1 to 5, and "Algebra" and the like. */
  level?: number;
  subject?: string;
}>;

/** Field names in lower case: the public copies of one data set differ in theirs. */
type Fields = Map<string, Json>;

/** What a row holds, or what it lacks to be of this shape. `answer` is null where the solution should give it and does not. */
type Reading = { problem: string; answer: string | null } | { lacks: string };

/** The shapes of the rows, each read on its own terms. */
const readers: Record<MathFormat, (fields: Fields) => Reading> = {
  /** `{ question, answer }`, the answer a worked solution with `#### N` at its end. */
  gsm8k(fields) {
    const problem = textOf(fields, 'question', 'problem');
    if (problem === null) return { lacks: '"question"' };
    const answer = afterLast(textOf(fields, 'answer') ?? '', '####');
    return answer === null ? { lacks: '"answer" that ends in "#### N"' } : { problem, answer };
  },

  /** `{ problem, solution, answer?, level?, subject? | type?, unique_id? }`. */
  math(fields) {
    const problem = textOf(fields, 'problem', 'question');
    if (problem === null) return { lacks: '"problem"' };
    const solution = textOf(fields, 'solution');
    return solution === null ? { lacks: '"solution"' } : { problem, answer: answerOf(fields) ?? lastBoxOf(solution) };
  },

  /** `{ id?, problem | question, answer?, solution? }`, the answer a whole number from 0 to 999 with any leading zeros. */
  aime(fields) {
    const problem = textOf(fields, 'problem', 'question');
    if (problem === null) return { lacks: '"problem"' };
    const answer = answerOf(fields) ?? lastBoxOf(textOf(fields, 'solution') ?? '');
    if (answer === null) return { lacks: '"answer"' };
    return /^\d{1,3}$/.test(answer) ? { problem, answer: String(Number(answer)) } : { lacks: '"answer" from 0 to 999' };
  },

  /** `{ id?, problem | question, answer }`, the answer often a float (27.0). */
  amc(fields) {
    const reading = readers.plain(fields);
    return 'lacks' in reading
      ? reading
      : { ...reading, answer: reading.answer?.replace(/^(-?\d+)\.0+$/, '$1') ?? null };
  },

  /** `{ id?, problem | question, answer }`. */
  plain(fields) {
    const problem = textOf(fields, 'problem', 'question');
    if (problem === null) return { lacks: '"problem"' };
    const answer = answerOf(fields);
    return answer === null ? { lacks: '"answer", a text or a number' } : { problem, answer };
  },
};

/**
 * A row as a problem; `auto` takes the first shape that fits.
 * @throws ProblemRowError with what each tried shape lacks
 * @throws UnusableProblem when the reference answer is missing from the solution or means nothing to the checker
 */
export function readMathRow(row: Json, format: MathFormat | 'auto'): MathProblem {
  if (row === null || typeof row !== 'object' || Array.isArray(row)) {
    throw new ProblemRowError('A row of maths is an object such as { "problem": "What is 2 + 3?", "answer": "5" }.');
  }
  const fields: Fields = new Map(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]));
  const lacks: string[] = [];
  for (const shape of format === 'auto' ? likelyFormats(fields) : [format]) {
    const reading = readers[shape](fields);
    if ('lacks' in reading) lacks.push(`${shape}: no ${reading.lacks}`);
    else return problemOf(fields, shape, reading.problem, reading.answer);
  }
  throw new ProblemRowError(
    `The row has not the fields it needs (${lacks.join('; ')}). ` +
      'Name the shape as task.format, or write rows as { "problem": "…", "answer": "…" }.',
  );
}

/**
 * What makes two texts the same problem: Unicode's composed form, one kind of quotes, dashes and spaces. Not its
 * compatibility form, in which 2² is 22.
 */
export function normalizeProblem(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\u200b-\u200d\u2060\ufeff]/g, '')
    .replace(/[‘’]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/[‐-―−]/g, '-')
    .replace(/\s+/g, ' ')
    .trim();
}

function problemOf(fields: Fields, format: MathFormat, problem: string, given: string | null): MathProblem {
  if (given === null) throw new UnusableProblem('Its solution holds no boxed answer.');
  const answer = lastBoxOf(given) ?? given;
  const checkable = isCheckable(answer);
  if (!checkable.ok) throw new UnusableProblem(`Its answer "${clip(answer)}" cannot be checked: ${checkable.reason}.`);
  const level = /^(?:Level )?([1-5])$/.exec(String(fields.get('level')))?.[1];
  const subject = format === 'math' ? textOf(fields, 'subject', 'type') : null;
  return {
    id: idOf(fields, format, problem),
    data: {
      problem,
      answer,
      format,
      ...(level === undefined ? {} : { level: Number(level) }),
      ...(subject === null ? {} : { subject }),
    },
  };
}

/** Given, or from the text: the same problem has the same id wherever it stands. */
function idOf(fields: Fields, format: MathFormat, problem: string): string {
  const given = fields.get('id') ?? fields.get('unique_id');
  if (typeof given === 'string' && given.trim() !== '') return given.trim();
  if (typeof given === 'number') return `${format}-${given}`;
  return `${format}-${sha256Hex(normalizeProblem(problem)).slice(0, 12)}`;
}

/** AIME and AMC rows look like plain ones and say what they are in their id or address. */
function likelyFormats(fields: Fields): MathFormat[] {
  const names = `${textOf(fields, 'id') ?? ''} ${textOf(fields, 'url') ?? ''}`;
  const contest: MathFormat[] = [];
  if (/aime|^\d{4}-I{1,2}-\d+ /i.test(names)) contest.push('aime');
  if (/amc/i.test(names)) contest.push('amc');
  return ['gsm8k', ...contest, 'math', 'plain'];
}

/** The first of the fields that is a text and not blank, as it stands. */
function textOf(fields: Fields, ...names: string[]): string | null {
  const found = names.map((name) => fields.get(name)).find((value) => typeof value === 'string' && value.trim() !== '');
  return typeof found === 'string' ? found : null;
}

/** A number beyond 2^53 has lost digits on its way here, so it is none. */
function answerOf(fields: Fields): string | null {
  const answer = fields.get('answer');
  if (typeof answer === 'number')
    return Number.isInteger(answer) && !Number.isSafeInteger(answer) ? null : String(answer);
  return textOf(fields, 'answer')?.trim() ?? null;
}

function lastBoxOf(text: string): string | null {
  const found = extractAnswer(text);
  return found?.from === 'boxed' ? found.answer : null;
}

/** Null where the mark is missing or nothing follows the last one. */
function afterLast(text: string, mark: string): string | null {
  const at = text.lastIndexOf(mark);
  const after = at < 0 ? '' : text.slice(at + mark.length).trim();
  return after === '' ? null : after;
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
