import type { Random } from '../seed.ts';

/** Writes what a small Countdown model would: attempts in the trace format, right or wrong and always well-formed. */

interface Item {
  value: number;
  expression: string;
}

interface Operation {
  line: string;
  items: Item[];
}

/** How often a step is drawn from those that still reach the target: makes about one attempt in four right. */
const INSIGHT = 0.35;
const LARGEST = 199;
/** Looking ahead is exponential in the numbers that are left. */
const LOOK_AHEAD_NUMBERS = 4;

/**
 * The rest of a text that starts with a Countdown prompt and holds any whole lines of a trace. Null when the text is
 * something else.
 *
 * @param retries most times it goes back after a wrong attempt; 0 writes a single attempt
 */
export function scriptCountdown(text: string, random: Random, retries: number): string | null {
  const read = readTrace(text);
  if (read === null) return null;
  const { target, visited } = read;
  let { items } = read;
  let written = '';
  for (let left = retries - read.retries; ; left--) {
    while (items.length > 1) {
      const operation = chooseOperation(items, target, random);
      written += operation.line;
      items = operation.items;
      visited.push(items);
    }
    const last = items[0] as Item;
    if (last.value === target || left <= 0 || random.next() < 0.2) {
      return `${written}Answer boxed{${last.expression.replace(/^\((.*)\)$/, '$1')}}`;
    }
    items = random.pick(visited.filter((state) => state.length > 1));
    const where = items === visited[0] ? 'start over with' : 'go back to';
    written += `Wait ${where} ${values(items)} to make ${target}\n`;
  }

  function chooseOperation(from: Item[], to: number, draw: Random): Operation {
    const all = operations(from, to);
    const insight = draw.next() < INSIGHT && from.length <= LOOK_AHEAD_NUMBERS;
    const leading = insight ? all.filter((operation) => reaches(operation.items, to)) : [];
    return draw.pick(leading.length > 0 ? leading : all);
  }
}

const values = (items: Item[]): string => items.map((item) => item.value).join(' ');

/** Every legal operation: larger operand first, no result above what the vocabulary holds. */
function operations(items: Item[], target: number): Operation[] {
  const found: Operation[] = [];
  for (const [i, a] of items.entries()) {
    for (const [j, b] of items.entries()) {
      if (i === j || a.value < b.value || (a.value === b.value && i > j)) continue;
      const rest = items.filter((_, k) => k !== i && k !== j);
      for (const [operator, value] of results(a.value, b.value)) {
        const next = [...rest, { value, expression: `(${a.expression}${operator}${b.expression})` }];
        const verdict = value === target ? 'is' : 'is not';
        const tail = rest.length > 0 ? `left ${values(next)} to make ${target}` : `${verdict} ${target}`;
        found.push({ line: `${a.value}${operator}${b.value}=${value} ${tail}\n`, items: next });
      }
    }
  }
  return found;
}

function results(a: number, b: number): [operator: string, value: number][] {
  const all: [string, number][] = [
    ['+', a + b],
    ['-', a - b],
    ['*', a * b],
  ];
  return all.filter(([, value]) => value <= LARGEST);
}

function reaches(items: Item[], target: number): boolean {
  if (items.length === 1) return items[0]?.value === target;
  return operations(items, target).some((operation) => reaches(operation.items, target));
}

interface Trace {
  target: number;
  /** What is left now. */
  items: Item[];
  /** Every state so far, the root first. */
  visited: Item[][];
  retries: number;
}

function readTrace(text: string): Trace | null {
  const lines = text.split('\n');
  if (lines.pop() !== '') return null;
  let trace: Trace | null = null;
  for (const line of lines) {
    const start = /^Use ([\d ]+) to make (\d+)$/.exec(line);
    if (start) {
      const items = String(start[1])
        .split(' ')
        .map((number) => ({ value: Number(number), expression: number }));
      trace = { target: Number(start[2]), items, visited: [items], retries: 0 };
      continue;
    }
    if (trace === null) return null;
    const back = /^Wait (?:go back to|start over with) ([\d ]+) to make/.exec(line);
    const items = back ? trace.visited.findLast((state) => values(state) === back[1]) : follow(trace, line);
    if (items === undefined) return null;
    if (back) trace.retries++;
    else trace.visited.push(items);
    trace.items = items;
  }
  return trace;
}

function follow(trace: Trace, line: string): Item[] | undefined {
  if (line === 'Looks right so far') return trace.items;
  return operations(trace.items, trace.target).find((operation) => operation.line === `${line}\n`)?.items;
}
