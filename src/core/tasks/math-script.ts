import type { Random } from '../seed.ts';
import { astroPhrases } from './astro-phrases.ts';
import { readPrompt } from './math-text.ts';

/**
 * Writes what a very small model would: it takes the numbers of the problem and combines two of them a step, at
 * random. A sum, difference or product of two numbers comes out right one time in three.
 */

/** Numbers used, so that a long problem stays a few steps. */
const MOST_NUMBERS = 4;
const MOST_DIGITS = 4;
const LARGEST = 999_999;
const GO_BACK = 0.5;

const HEADER = /^#{2,3} (Step \d+: .*)$/;
const EQUATION = /^(\d{1,6}) ([-+*]) (\d{1,6}) = (\d{1,6})$/;
const FIRST_TITLE = 'Step 1: Note the numbers';

/** A point that the text can go back to: a step as its header names it, and the numbers left after it. */
interface State {
  title: string;
  items: number[];
  /** Steps up to here. */
  depth: number;
}

interface Equation {
  line: string;
  items: number[];
}

/** The root: nothing written yet. */
const startOf = (problem: string): State => ({ title: '', items: numbersOf(problem), depth: 0 });

/**
 * The rest of a text that starts with a maths prompt and may hold whole steps. Null when the text is something else.
 *
 * @param retries most times it goes back from an answer
 */
export function scriptMath(text: string, random: Random, retries: number): string | null {
  const prompt = readPrompt(text);
  if (prompt === null) return null;
  const { state: reached, visited, tried, retried, isFinished } = follow(startOf(prompt.problem), prompt.after);
  if (isFinished) return '';
  let state = reached;
  let written = state.depth === 0 || prompt.after.endsWith('\n') ? '' : '\n\n';
  for (let left = retries - retried; ; left--) {
    let last = '';
    while (state.depth === 0 || state.items.length > 1) {
      written += last;
      const step = state.depth === 0 ? noteNumbers(state) : calculate(state);
      state = step.state;
      last = step.text;
      visited.push(state);
    }
    const attempt = `${last.trimEnd()}\nThe answer is \\boxed{${state.items[0]}}.`;
    if (left <= 0 || random.next() >= GO_BACK) return written + attempt;
    state = random.pick(visited.filter(({ items }) => items.length > 1));
    written += astroPhrases.withoutAnswer(attempt) + goBackTo(state);
  }

  function calculate({ items, depth }: State): { state: State; text: string } {
    const all = equations(items);
    const fresh = all.filter(({ line }) => !tried.has(line));
    const { line, items: rest } = random.pick(fresh.length > 0 ? fresh : all);
    tried.add(line);
    const title = `Step ${depth + 1}: Calculate ${line.slice(0, line.indexOf(' ='))}`;
    return { state: { title, items: rest, depth: depth + 1 }, text: `## ${title}\n${line}\n\n` };
  }
}

function noteNumbers({ items }: State): { state: State; text: string } {
  return {
    state: { title: FIRST_TITLE, items, depth: 1 },
    text: `## ${FIRST_TITLE}\nThe problem gives ${items.join(', ')}.\n\n`,
  };
}

function goBackTo({ title, depth }: State): string {
  const problem = { id: '', data: null };
  return depth === 0 ? astroPhrases.restart(problem) : astroPhrases.backtrack(problem, [`## ${title}`]);
}

/** Where the steps written so far have led. Lines that are none of ours change nothing. */
function follow(start: State, written: string) {
  const visited = [start];
  const tried = new Set<string>();
  let state = start;
  let retried = 0;
  for (const line of written.split('\n')) {
    const title = HEADER.exec(line)?.[1];
    if (title !== undefined) {
      state = { title, items: state.items, depth: state.depth + 1 };
      visited.push(state);
    } else if (line.includes(astroPhrases.backtrackMarker)) {
      retried += 1;
      state = visited.findLast((known) => known.depth > 0 && line.includes(`"${known.title}"`)) ?? start;
    } else if (EQUATION.test(line)) {
      tried.add(line);
      state.items = equations(state.items).find((known) => known.line === line)?.items ?? state.items;
    }
  }
  return { state, visited, tried, retried, isFinished: written.includes('\\boxed{') };
}

/** Every sum, difference and product of two of the numbers; the larger one stands first. */
function equations(items: readonly number[]): Equation[] {
  const found: Equation[] = [];
  for (const [i, a] of items.entries()) {
    for (const [j, b] of items.entries()) {
      if (i === j || a < b || (a === b && i > j)) continue;
      const rest = items.filter((_, k) => k !== i && k !== j);
      const results = { '+': a + b, '-': a - b, '*': a * b };
      for (const [operator, value] of Object.entries(results)) {
        if (value <= LARGEST) found.push({ line: `${a} ${operator} ${b} = ${value}`, items: [value, ...rest] });
      }
    }
  }
  return found;
}

/** At least two, so that there is something to calculate. */
function numbersOf(problem: string): number[] {
  const written = problem.replace(/(?<=\d),(?=\d{3})/g, '').match(/\d+/g) ?? [];
  const numbers = written.filter((digits) => digits.length <= MOST_DIGITS).map(Number);
  return [...numbers, 2, 3].slice(0, Math.min(Math.max(numbers.length, 2), MOST_NUMBERS));
}
