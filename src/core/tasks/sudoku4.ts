import { z } from 'zod';
import { type Json, type Problem, ProblemRowError, UnusableProblem, type Verdict } from '../problem.ts';
import { createRandom, deriveSeed, type Random } from '../seed.ts';
import type { GenerateOptions, Task, TaskDefinition, TaskOptions } from '../task.ts';
import { lastBox } from './boxed.ts';

/**
 * Sudoku on four by four cells: every row, column and quarter holds 1 2 3 4. A step fills one cell with a digit that
 * fits there so far and restates the grid (0: empty), so that a model needs only the line before it. A digit may fit
 * and still be wrong: an attempt ends solved or at a cell that no digit fits, and boxes the grid it reached.
 *
 *     Sudoku 4300 0104 0200 0002
 *     r3c3=1: 4300 0104 0210 0002
 *     r3c4=3: 4300 0104 0213 0002
 *     Stuck at r3c1: boxed{4300 0104 0213 0002}
 */
export type SudokuProblem = Problem<{ /** Sixteen cells row by row, 0 where empty. */ puzzle: string }>;

/** Sixteen digits row by row, 0 where empty. */
type Grid = readonly number[];

interface Fill {
  cell: number;
  digit: number;
}

/** An empty cell and the digits that fit there so far. */
interface OpenCell {
  cell: number;
  digits: number[];
}

const options = z.strictObject({
  name: z.literal('sudoku4'),
  /** Digits that a generated puzzle shows. Fewer than four never have only one solution. */
  givens: z.int().min(4).max(15).default(6),
});
type SudokuOptions = z.output<typeof options>;

export const sudoku4Task: TaskDefinition<SudokuOptions & TaskOptions> = {
  name: 'sudoku4',
  options,
  create: ({ givens }) => ({ ...sudoku4, generate: (request) => generate(request, givens) }),
};

const cells = Array.from({ length: 16 }, (_, cell) => cell);
const rowOf = (cell: number) => cell >> 2;
const columnOf = (cell: number) => cell & 3;
const quarterOf = (cell: number) => 2 * (cell >> 3) + (columnOf(cell) >> 1);
/** The other cells of each cell's row, column and quarter. */
const peers = cells.map((cell) =>
  cells.filter((other) => other !== cell && [rowOf, columnOf, quarterOf].some((unit) => unit(other) === unit(cell))),
);

/** Line orders that keep the two halves together. */
const lineOrders = [
  [0, 1, 2, 3],
  [1, 0, 2, 3],
  [0, 1, 3, 2],
  [1, 0, 3, 2],
].flatMap((order) => [order, [...order.slice(2), ...order.slice(0, 2)]]);
/** The 128 ways to move cells that turn every puzzle into an equivalent one: entry i is the cell that moves to i. */
const symmetries = lineOrders.flatMap((rows) =>
  lineOrders.flatMap((columns) => {
    const moved = cells.map((cell) => 4 * (rows[rowOf(cell)] as number) + (columns[columnOf(cell)] as number));
    return [moved, moved.map((cell) => 4 * columnOf(cell) + rowOf(cell))];
  }),
);

/**
 * Shares of the splits, in percent of the puzzles that are different in kind. Solved grids cannot part them: there are
 * only two kinds of solved grid, all others are their relabelled or moved copies. Puzzles can, by their canonical form,
 * so that no test puzzle is a training puzzle in disguise.
 */
const splits = { train: 70, dev: 10, test: 20 };
/** Draws in a row without a new puzzle after which a split counts as used up. */
const MAX_MISSES = 20_000;

const GRID = '[0-4]{4}(?: [0-4]{4}){3}';
const PROMPT = new RegExp(`^Sudoku (${GRID})$`);
const STEP = new RegExp(`^r([1-4])c([1-4])=([1-4]): (${GRID})$`);
const END = new RegExp(`^(?:Solved|Stuck at r([1-4])c([1-4])): boxed\\{(${GRID})\\}$`);
const STUCK = /^Stuck at r[1-4]c[1-4]$/;
const BACK = new RegExp(`^Wait (?:go back to|start over with) (${GRID})$`);
const BOX = 'boxed{';
const LOOKS_RIGHT = 'Looks right so far';

export const sudoku4: Task<SudokuProblem> = {
  name: 'sudoku4',
  version: 1,
  parseRow,
  generate: (request) => generate(request, options.parse({ name: 'sudoku4' }).givens),
  family: ({ data }) => canonical(gridOf(data.puzzle)),
  identity: ({ data }) => canonical(gridOf(data.puzzle)),
  kinds: (problem) => [
    { name: 'the same puzzle, moved or relabelled', value: sudoku4.family(problem) },
    { name: 'as many givens', value: `${gridOf(problem.data.puzzle).filter((digit) => digit !== 0).length}` },
  ],
  statement: ({ data }) => promptText(data.puzzle).trim(),
  prompt: ({ data }) => [{ role: 'user', content: promptText(data.puzzle) }],

  stepStops: () => ['\n'],
  keepsStop: true,
  answerStops: [],

  splitSteps(_problem, text) {
    const lines = text.split(/(?<=\n)/).filter((line) => line !== '');
    const end = lines.findIndex((line) => line.includes(BOX));
    return end < 0 ? lines : [...lines.slice(0, end), lines.slice(end).join('')];
  },

  /** Also where a step ended before its stop string: the model ended the text there, or its token limit did. */
  isTerminal(_problem, steps) {
    const last = steps.at(-1);
    return last !== undefined && (last.includes(BOX) || !last.endsWith('\n'));
  },

  verify,
  readAttempt,
  answerClass: (_problem, answer) => answer.replace(/\s+/g, ''),
  isSound,

  phrases: {
    withoutAnswer: (step) => `${step.replace(/:[^:]*$/, '').trimEnd()}\n`,
    backtrack: ({ data }, steps) => `Wait go back to ${gridText(gridAfter(steps) ?? gridOf(data.puzzle))}\n`,
    restart: ({ data }) => `Wait start over with ${gridText(gridOf(data.puzzle))}\n`,
    reflectPositive: () => `${LOOKS_RIGHT}\n`,
    backtrackMarker: 'Wait',
  },
  script,
};

/** `{ id?, puzzle }`, e.g. "43.. .1.4 .2.. ...2": sixteen cells, `0`, `.` or `_` where empty, spaces as you like. */
function parseRow(row: Json): SudokuProblem {
  if (row === null || typeof row !== 'object' || Array.isArray(row) || typeof row.puzzle !== 'string') {
    throw new ProblemRowError('A Sudoku row is an object { "puzzle": "43.. .1.4 .2.. ...2" }.');
  }
  const puzzle = row.puzzle.replace(/\s/g, '').replace(/[._]/g, '0');
  if (!/^[0-4]{16}$/.test(puzzle)) {
    throw new ProblemRowError('"puzzle" must have sixteen cells: digits from 1 to 4, or "." where it is empty.');
  }
  const { id } = row;
  if (id !== undefined && (typeof id !== 'string' || id === '')) {
    throw new ProblemRowError('"id" must be a text that is not empty, or left out.');
  }
  const grid = gridOf(puzzle);
  if (!grid.includes(0)) throw new UnusableProblem('no cell is empty');
  const found = clash(grid) === null ? solutions(grid, 2).length : 0;
  if (found !== 1) throw new UnusableProblem(found === 0 ? 'has no solution' : 'has more than one solution');
  return sudokuProblem(puzzle, id);
}

function sudokuProblem(puzzle: string, id?: string): SudokuProblem {
  return { id: id ?? `s4-${puzzle}`, data: { puzzle } };
}

/** Puzzles with exactly one solution, no two the same. @throws RangeError when the split is unknown or too small. */
function generate({ split, count, seed }: GenerateOptions, givens: number): SudokuProblem[] {
  if (!Object.hasOwn(splits, split)) {
    throw new RangeError(`Sudoku has no split "${split}". It has ${Object.keys(splits).join(', ')}.`);
  }
  const random = createRandom(seed);
  const solved = solutions(cells.map(() => 0));
  const puzzles = new Set<string>();
  for (let misses = 0; puzzles.size < count; ) {
    const shown = new Set(random.shuffle(cells).slice(0, givens));
    const grid = random.pick(solved).map((digit, cell) => (shown.has(cell) ? digit : 0));
    const puzzle = grid.join('');
    if (!puzzles.has(puzzle) && solutions(grid, 2).length === 1 && splitOf(grid) === split) {
      puzzles.add(puzzle);
      misses = 0;
    } else if (++misses > MAX_MISSES) {
      throw new RangeError(
        `Split "${split}" has only about ${puzzles.size} different puzzles with ${givens} givens, but ${count} were ` +
          'asked for. Ask for fewer or change "givens".',
      );
    }
  }
  return [...puzzles].map((puzzle) => sudokuProblem(puzzle));
}

function splitOf(grid: Grid): string {
  const bucket = deriveSeed('sudoku4', canonical(grid)) % 100;
  return bucket < splits.test ? 'test' : bucket < splits.test + splits.dev ? 'dev' : 'train';
}

/** The smallest of a puzzle's moved copies, each relabelled so that new digits appear in the order 1 2 3 4. */
function canonical(grid: Grid): string {
  let smallest = Number.POSITIVE_INFINITY;
  for (const symmetry of symmetries) {
    const labels = [0, 0, 0, 0, 0];
    let used = 0;
    let code = 0;
    for (const from of symmetry) {
      const digit = grid[from] as number;
      if (digit !== 0 && labels[digit] === 0) labels[digit] = ++used;
      code = 5 * code + (labels[digit] as number);
    }
    smallest = Math.min(smallest, code);
  }
  return smallest.toString(5).padStart(16, '0');
}

/** Every way to fill the empty cells, or the first `limit`; the filled ones must not clash. */
function solutions(grid: Grid, limit = Number.POSITIVE_INFINITY): Grid[] {
  const next = tightest(openCells(grid));
  if (next === undefined) return [grid];
  const found: Grid[] = [];
  for (const digit of next.digits) {
    found.push(...solutions(grid.with(next.cell, digit), limit - found.length));
    if (found.length >= limit) break;
  }
  return found;
}

function tightest(open: readonly OpenCell[]): OpenCell | undefined {
  return [...open].sort((a, b) => a.digits.length - b.digits.length)[0];
}

function openCells(grid: Grid): OpenCell[] {
  return cells.filter((cell) => grid[cell] === 0).map((cell) => ({ cell, digits: fitting(grid, cell) }));
}

function fitting(grid: Grid, cell: number): number[] {
  return [1, 2, 3, 4].filter((digit) => !peers[cell]?.some((peer) => grid[peer] === digit));
}

/** Two cells of one row, column or quarter with the same digit; null when there are none. */
function clash(grid: Grid): [number, number] | null {
  for (const cell of cells) {
    const other = peers[cell]?.find((peer) => peer > cell && grid[cell] !== 0 && grid[peer] === grid[cell]);
    if (other !== undefined) return [cell, other];
  }
  return null;
}

/** The givens kept and no digit twice: that is the solution, whichever way it was found. */
function verify({ data }: SudokuProblem, text: string): Verdict {
  const box = lastBox(text, BOX);
  if (box === null) return { correct: false, reason: 'no boxed answer' };
  const answer = box.content.trim();
  const wrong = faultOf(gridOf(data.puzzle), answer.replace(/\s+/g, ''));
  return { correct: wrong === null, answer, reason: wrong ?? 'solves it' };
}

/** The grid that a dead end was reached with: that of its last line, else the one gone back to. */
function readAttempt({ data }: SudokuProblem, before: string, attempt: string): Verdict | null {
  if (attempt.includes(BOX)) return null;
  const lines = attempt.split('\n');
  if (!lines.some((line) => STUCK.test(line))) return { correct: false, reason: 'states no answer' };
  const last = lines.map((line) => STEP.exec(line)?.[4]).findLast((grid) => grid !== undefined);
  const back = BACK.exec(before.trimEnd().split('\n').at(-1) ?? '')?.[1];
  const answer = last ?? back ?? gridText(gridOf(data.puzzle));
  const wrong = faultOf(gridOf(data.puzzle), answer.replaceAll(' ', ''));
  return { correct: wrong === null, answer, reason: wrong ?? 'solves it' };
}

function faultOf(puzzle: Grid, answer: string): string | null {
  if (!/^[0-4]{16}$/.test(answer)) return 'not sixteen digits from 1 to 4';
  const grid = gridOf(answer);
  const changed = cells.find((cell) => puzzle[cell] !== 0 && puzzle[cell] !== grid[cell]);
  if (changed !== undefined) return `changes ${nameOf(changed)}, which was given`;
  const empty = grid.indexOf(0);
  if (empty >= 0) return `leaves ${nameOf(empty)} empty`;
  const twice = clash(grid);
  return twice && `${nameOf(twice[0])} and ${nameOf(twice[1])} are both ${grid[twice[0]]}`;
}

/**
 * Whether every line is true: its digit fitted an empty cell, the grid is the one before with that digit, and at the end
 * it is solved, or no digit fits the cell named. Wrong digits that fitted are sound: that they were wrong shows later.
 */
function isSound({ data }: SudokuProblem, steps: readonly string[]): boolean {
  let grid: Grid | null = gridOf(data.puzzle);
  for (const step of steps.slice(0, -1)) {
    grid = step.endsWith('\n') ? afterLine(grid, step.slice(0, -1)) : null;
    if (grid === null) return false;
  }
  const end = END.exec(steps.at(-1)?.trimEnd() ?? '');
  if (end === null || end[3] !== gridText(grid)) return false;
  if (end[1] === undefined) return !grid.includes(0);
  const cell = cellOf(end[1], end[2]);
  return grid[cell] === 0 && fitting(grid, cell).length === 0;
}

/** The grid that a true step line leads to; null when the line says anything false. */
function afterLine(grid: Grid, line: string): Grid | null {
  const step = STEP.exec(line);
  if (step === null) return null;
  const [cell, digit] = [cellOf(step[1], step[2]), Number(step[3])];
  if (grid[cell] !== 0 || !fitting(grid, cell).includes(digit)) return null;
  const after = grid.with(cell, digit);
  return step[4] === gridText(after) ? after : null;
}

function gridAfter(steps: readonly string[]): Grid | null {
  const step = STEP.exec(steps.at(-1)?.trimEnd() ?? '');
  return step === null ? null : gridOf(step[4] as string);
}

/** How often a step looks for the cell that the fewest digits fit: makes about every second attempt right. */
const CARE = 0.3;
/** Share of dead ends at which it gives up though it may go back. */
const GIVES_UP = 0.2;

/** Fills cells with digits that fit, without looking ahead, as a person in a hurry does. */
function script(text: string, random: Random, retries: number): string | null {
  const trace = readTrace(text);
  if (trace === null) return null;
  const { visited } = trace;
  let { grid } = trace;
  let written = '';
  for (let left = retries - trace.retries; ; left--) {
    let open = openCells(grid);
    while (open.length > 0 && open.every(({ digits }) => digits.length > 0)) {
      const { cell, digit } = chooseFill(open, random);
      grid = grid.with(cell, digit);
      visited.push(grid);
      written += `${nameOf(cell)}=${digit}: ${gridText(grid)}\n`;
      open = openCells(grid);
    }
    const stuck = open.find(({ digits }) => digits.length === 0);
    const end = stuck === undefined ? 'Solved' : `Stuck at ${nameOf(stuck.cell)}`;
    if (stuck === undefined || left <= 0 || random.next() < GIVES_UP) {
      return `${written}${end}: ${BOX}${gridText(grid)}}`;
    }
    // To a grid that is not known to be a dead end; the puzzle itself never is.
    grid = random.pick(visited.filter((earlier) => openCells(earlier).every(({ digits }) => digits.length > 0)));
    const where = grid === visited[0] ? 'start over with' : 'go back to';
    written += `${end}\nWait ${where} ${gridText(grid)}\n`;
  }
}

/** The cell is the tightest or the next in reading order, so that a search meets equal steps again. */
function chooseFill(open: readonly OpenCell[], random: Random): Fill {
  const { cell, digits } = (random.next() < CARE ? tightest(open) : open[0]) as OpenCell;
  return { cell, digit: random.pick(digits) };
}

/** Where a text of whole lines stands, all grids so far (the puzzle first), and how often it went back. */
function readTrace(text: string): { grid: Grid; visited: Grid[]; retries: number } | null {
  const [first = '', ...lines] = text.split('\n');
  const puzzle = PROMPT.exec(first)?.[1];
  if (puzzle === undefined || lines.pop() !== '') return null;
  let grid = gridOf(puzzle);
  const visited = [grid];
  let retries = 0;
  for (const line of lines) {
    if (line === LOOKS_RIGHT) continue;
    if (STUCK.test(line)) continue;
    const back = BACK.exec(line)?.[1];
    const next = back === undefined ? afterLine(grid, line) : visited.find((earlier) => gridText(earlier) === back);
    if (next === undefined || next === null) return null;
    if (back === undefined) visited.push(next);
    else retries += 1;
    grid = next;
  }
  return { grid, visited, retries };
}

const promptText = (puzzle: string) => `Sudoku ${gridText(gridOf(puzzle))}\n`;
const gridOf = (text: string): Grid => Array.from(text.replaceAll(' ', ''), Number);
const gridText = (grid: Grid) => [0, 4, 8, 12].map((row) => grid.slice(row, row + 4).join('')).join(' ');
const nameOf = (cell: number) => `r${rowOf(cell) + 1}c${columnOf(cell) + 1}`;
const cellOf = (row: string | undefined, column: string | undefined) => 4 * (Number(row) - 1) + Number(column) - 1;
