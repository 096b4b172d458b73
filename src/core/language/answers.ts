import type { Problem } from '../problem.ts';
import type { Task } from '../task.ts';

/** An answer as an attempt gave it, and the task's class of it. */
export interface GivenAnswer {
  literal: string;
  answerClass: string;
}

/** Most expressions of a text that are compared by class; the last ones, where answers stand. */
const MOST_CANDIDATES = 300;

/**
 * Whether a text states one of the answers: its literal stands there on its own, or a number, formula or right-hand
 * side in the text belongs to the same class (`0.5` for `\frac{1}{2}`).
 */
export function statesAnswer(text: string, answers: readonly GivenAnswer[], task: Task, problem: Problem): boolean {
  if (text === '' || answers.length === 0) return false;
  const plain = normalise(text);
  if (answers.some(({ literal }) => holdsLiteral(plain, normalise(literal)))) return true;
  const classes = new Set(answers.map(({ answerClass }) => answerClass));
  return candidates(text).some((candidate) => classes.has(task.answerClass(problem, candidate)));
}

/** One spelling for what differs only in typesetting. */
function normalise(text: string): string {
  return text
    .replace(/\\[dt]frac(?![A-Za-z])/g, '\\frac')
    .replace(/\\(?:left|right)(?![A-Za-z])/g, '')
    .replace(/\\[,;:! ]/g, ' ')
    .replace(/(\d)(?:,|\{,\})(?=\d{3}(?!\d))/g, '$1')
    .replace(/[−–]/g, '-')
    .replaceAll('$', ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/**
 * Whether the literal stands in the text as a whole: not as part of a longer number or word, and a number not under
 * a minus sign of its own. Spaces inside it do not matter. Both normalised.
 */
function holdsLiteral(text: string, literal: string): boolean {
  const parts = literal.match(/\\[A-Za-z]+|[A-Za-z]+|[\d.]+|[^\s]/g);
  if (parts === null) return false;
  const body = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join(' ?');
  const [first, last] = [parts[0] as string, parts.at(-1) as string];
  // A minus sign after nothing, an opening bracket, an operator or, close to the number, a word is the number's own.
  const before = /^\d/.test(first)
    ? '(?<![A-Za-z0-9]|\\d\\.|(?:^|[=(\\[{,:<>*/^]) ?- ?|[A-Za-z] -)'
    : wordEdge(first, '(?<![A-Za-z0-9\\\\])');
  const after = /\d$/.test(last) ? '(?![A-Za-z0-9]|[.,]\\d| ?/ ?\\d)' : wordEdge(last, '(?![A-Za-z0-9])');
  return new RegExp(before + body + after).test(text);
}

function wordEdge(part: string, edge: string): string {
  return /[A-Za-z]/.test(part) ? edge : '';
}

/** Expressions that could be an answer, at most a few hundred. */
function candidates(text: string): string[] {
  const patterns = [
    /\$([^$\n]{1,100})\$/g,
    /\\\(([^\n]{1,100}?)\\\)/g,
    /=\s?([^=\n$]{1,80})/g,
    /(-?\\[dt]?frac\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\})/g,
    /(-?\d[\d,]{0,40}(?:\.\d{1,40})?(?:\s?\/\s?\d{1,40})?%?)/g,
  ];
  const matches = patterns.flatMap((pattern) => [...text.matchAll(pattern)]).sort((a, b) => a.index - b.index);
  const found = new Set(matches.map((match) => (match[1] as string).trim().replace(/[\s.,;:!?]+$/, '')));
  found.delete('');
  return [...found].slice(-MOST_CANDIDATES);
}
