import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countBacktracks } from '../../../src/core/behaviour.ts';
import { type Json, type Problem, ProblemRowError, UnusableProblem } from '../../../src/core/problem.ts';
import { createRandom } from '../../../src/core/seed.ts';
import { getTask } from '../../../src/core/tasks/index.ts';
import { type SudokuProblem, sudoku4, sudoku4Task } from '../../../src/core/tasks/sudoku4.ts';

const puzzle = sudoku4.parseRow({ puzzle: '.4.2 23.1 .... 321.' }) as SudokuProblem;
const given = '0402 2301 0000 3210';
const solution = '1432 2341 4123 3214';

/** A true way to the solution: cells in reading order, each line restating the grid. */
const solving = fillings(given, solution);
/** A digit that fits and is wrong, after which no digit fits its neighbour. */
const slip = 'r3c1=1: 0402 2301 1000 3210\n';
const stuck = 'Stuck at r3c2: boxed{0402 2301 1000 3210}';

function fillings(from: string, to: string): string[] {
  const [cells, target] = [from, to].map((grid) => [...grid.replaceAll(' ', '')]) as [string[], string[]];
  const steps = cells.flatMap((digit, cell) => {
    if (digit !== '0') return [];
    cells[cell] = target[cell]!;
    return [`r${Math.floor(cell / 4) + 1}c${(cell % 4) + 1}=${target[cell]}: ${rows(cells)}\n`];
  });
  return [...steps, `Solved: boxed{${to}}`];
}

function rows(cells: string[]): string {
  return cells.join('').match(/.{4}/g)!.join(' ');
}

/** How many full grids keep the givens and the rules, found without the solver under test. */
function countSolutions(digits: string): number {
  const cell = digits.indexOf('0');
  const units = [0, 1, 2, 3].flatMap((i) => [
    [0, 1, 2, 3].map((j) => 4 * i + j),
    [0, 1, 2, 3].map((j) => 4 * j + i),
    [0, 1, 4, 5].map((j) => 8 * (i >> 1) + 2 * (i & 1) + j),
  ]);
  const isLegal = units.every((unit) => {
    const filled = unit.map((at) => digits[at]).filter((digit) => digit !== '0');
    return new Set(filled).size === filled.length;
  });
  if (!isLegal) return 0;
  if (cell < 0) return 1;
  return ['1', '2', '3', '4']
    .map((digit) => countSolutions(digits.slice(0, cell) + digit + digits.slice(cell + 1)))
    .reduce((sum, count) => sum + count);
}

describe('Sudoku rows', () => {
  it('parse with or without an id, spaces, and three ways to write an empty cell', () => {
    expect(puzzle).toEqual({ id: 's4-0402230100003210', data: { puzzle: '0402230100003210' } });
    expect(sudoku4.parseRow({ puzzle: '_4_2\n23_1\n____\n321_' })).toEqual(puzzle);
    const row = { id: 'a', puzzle: '0402230100003210', level: 'easy' };
    expect(sudoku4.parseRow(row)).toEqual({ id: 'a', data: puzzle.data });
  });

  it.each<[Json, string]>([
    [null, 'object'],
    [['0402230100003210'], 'object'],
    [{ puzzle: 402230100003210 }, 'object'],
    [{ puzzle: '0402' }, 'sixteen'],
    [{ puzzle: '5402230100003210' }, 'sixteen'],
    [{ puzzle: '0402230100003210', id: '' }, '"id"'],
  ])('refuse %j', (row, message) => {
    expect(() => sudoku4.parseRow(row)).toThrow(ProblemRowError);
    expect(() => sudoku4.parseRow(row)).toThrow(message);
  });

  it.each([
    ['a given twice in a row', '0442230100003210', 'has no solution'],
    ['a cell that no digit fits', '0402230110003210', 'has no solution'],
    ['several solutions', '0402230000000000', 'has more than one solution'],
    ['nothing left to fill', solution, 'no cell is empty'],
  ])('are left out with %s: there is no one answer to check against', (_name, cells, reason) => {
    expect(() => sudoku4.parseRow({ puzzle: cells })).toThrow(UnusableProblem);
    expect(() => sudoku4.parseRow({ puzzle: cells })).toThrow(reason);
  });
});

describe('generated puzzles', () => {
  const generate = (split: string, count: number, givens = 6, seed = 1) =>
    sudoku4Task.create({ name: 'sudoku4', givens }).generate({ split, count, seed });
  const cellsOf = ({ data }: Problem) => (data as SudokuProblem['data']).puzzle;

  it.each([4, 6, 9])('with %i givens differ and have exactly one solution, counted another way', (givens) => {
    const puzzles = generate('train', 60, givens);
    expect(new Set(puzzles.map(cellsOf)).size).toBe(60);
    for (const problem of puzzles) {
      expect(cellsOf(problem).replaceAll('0', '')).toHaveLength(givens);
      expect(countSolutions(cellsOf(problem))).toBe(1);
      expect(sudoku4.parseRow({ puzzle: cellsOf(problem) })).toEqual(problem);
    }
  });

  it('are the same for the same seed only', () => {
    expect(generate('test', 20)).toEqual(generate('test', 20));
    expect(generate('test', 20)).not.toEqual(generate('test', 20, 6, 2));
  });

  it('of different splits are different in kind, whatever is moved or relabelled', () => {
    const families = (['train', 'dev', 'test'] as const).map(
      (split) => new Set(generate(split, 150).map((problem) => sudoku4.family(problem as SudokuProblem))),
    );
    for (const [i, family] of families.entries()) {
      for (const other of families.slice(i + 1)) expect([...family].filter((one) => other.has(one))).toEqual([]);
    }
  });

  it('say what to change when there are too few, or the split is unknown', () => {
    expect(() => generate('dev', 5000, 15)).toThrow(
      /has only about \d+ different puzzles with 15 givens.*Ask for fewer/,
    );
    expect(() => generate('validation', 5)).toThrow('no split "validation"');
  });
});

describe('a puzzle’s family', () => {
  it('stays when digits are relabelled, lines are swapped inside their half, halves are swapped, or all is transposed', () => {
    const cells = [...puzzle.data.puzzle];
    const at = (from: (row: number, column: number) => number) =>
      cells.map((_, cell) => cells[from(cell >> 2, cell & 3)]!).join('');
    const copies = [
      cells.map((digit) => '03142'[Number(digit)]).join(''),
      at((row, column) => 4 * [1, 0, 2, 3][row]! + column),
      at((row, column) => 4 * row + [0, 1, 3, 2][column]!),
      at((row, column) => 4 * [2, 3, 0, 1][row]! + column),
      at((row, column) => 4 * column + row),
    ];
    for (const copy of copies) {
      expect(copy).not.toBe(puzzle.data.puzzle);
      expect(sudoku4.family(sudoku4.parseRow({ puzzle: copy }))).toBe(sudoku4.family(puzzle));
    }
  });

  it('changes when a given moves to where no symmetry brings it', () => {
    expect(sudoku4.family(sudoku4.parseRow({ puzzle: '.4.2 23.1 .... 3214' }))).not.toBe(sudoku4.family(puzzle));
  });
});

describe('verifying a Sudoku', () => {
  const verify = (text: string) => sudoku4.verify(puzzle, text);

  it('looks at the last box only, spaces aside', () => {
    expect(verify(solving.join(''))).toEqual({ correct: true, answer: solution, reason: 'solves it' });
    expect(verify('boxed{1432234141233214}').correct).toBe(true);
    expect(verify(`${stuck}\nSolved: boxed{${solution}}`).correct).toBe(true);
    expect(verify(`boxed{${solution}} or boxed{1432 2341 4123 3241}`).correct).toBe(false);
  });

  it.each([
    ['Solved', 'no boxed answer'],
    [`boxed{${solution}`, 'no boxed answer'],
    ['boxed{}', 'not sixteen digits from 1 to 4'],
    ['boxed{1432 2341 4123 321}', 'not sixteen digits from 1 to 4'],
    ['boxed{1432 2341 4123 3215}', 'not sixteen digits from 1 to 4'],
    ['boxed{1432 2341 4123 3210}', 'leaves r4c4 empty'],
    ['boxed{1432 2341 4123 1234}', 'changes r4c1, which was given'],
    ['boxed{1432 2341 4121 3214}', 'r2c4 and r3c4 are both 1'],
  ])('%s: %s', (text, reason) => expect(verify(text)).toMatchObject({ correct: false, reason }));

  it('accepts one of all ways to fill the empty cells', () => {
    const empty = [...puzzle.data.puzzle].flatMap((digit, cell) => (digit === '0' ? [cell] : []));
    const right: string[] = [];
    for (let code = 0; code < 4 ** empty.length; code += 1) {
      const cells = [...puzzle.data.puzzle];
      for (const [i, cell] of empty.entries()) cells[cell] = String(1 + (Math.floor(code / 4 ** i) % 4));
      if (verify(`boxed{${cells.join('')}}`).correct === true) right.push(rows(cells));
    }
    expect(right).toEqual([solution]);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => verify(`boxed{${text}`).correct === false));
  });
});

describe('answer classes', () => {
  it('are the grids reached, spaces aside', () => {
    expect(sudoku4.answerClass(puzzle, solution)).toBe('1432234141233214');
    expect(sudoku4.answerClass(puzzle, '0402 2301 1000 3210')).toBe('0402230110003210');
  });
});

describe('Sudoku steps', () => {
  it('are lines; the one with the box, or one without its end, is the last', () => {
    expect(sudoku4.isTerminal(puzzle, [])).toBe(false);
    expect(sudoku4.isTerminal(puzzle, [slip])).toBe(false);
    expect(sudoku4.isTerminal(puzzle, [slip, stuck])).toBe(true);
    expect(sudoku4.isTerminal(puzzle, [slip, `${stuck}\n`])).toBe(true);
    expect(sudoku4.isTerminal(puzzle, ['r3c1=1: 0402 23'])).toBe(true);
  });

  it('split a whole text into what step-wise sampling would have given', () => {
    expect(sudoku4.splitSteps(puzzle, solving.join(''))).toEqual(solving);
    expect(sudoku4.splitSteps(puzzle, `${slip}${stuck}\nand more\n`)).toEqual([slip, `${stuck}\nand more\n`]);
    expect(sudoku4.splitSteps(puzzle, '')).toEqual([]);
  });

  it('can be quoted in a trace: where it got stuck, and where it goes back to', () => {
    expect(sudoku4.phrases.withoutAnswer(stuck)).toBe('Stuck at r3c2\n');
    expect(sudoku4.phrases.backtrack(puzzle, [slip])).toBe('Wait go back to 0402 2301 1000 3210\n');
    expect(sudoku4.phrases.restart(puzzle)).toBe(`Wait start over with ${given}\n`);
  });

  it('leave the statement so short that only an equal one overlaps', () => {
    expect(sudoku4.statement(puzzle)).toBe(`Sudoku ${given}`);
    expect(sudoku4.statement(puzzle).split(/\s+/).length).toBeLessThan(13);
  });
});

describe('soundness', () => {
  const isSound = (...steps: string[]) => sudoku4.isSound(puzzle, steps);

  it('accepts true attempts, right or wrong', () => {
    expect(isSound(...solving)).toBe(true);
    expect(isSound(slip, stuck)).toBe(true);
    expect(isSound(slip, `${stuck}\n`)).toBe(true);
  });

  it.each([
    ['a digit that does not fit', ['r3c1=2: 0402 2301 2000 3210\n', 'Stuck at r1c1: boxed{0402 2301 2000 3210}']],
    ['a cell that is not empty', ['r1c2=4: 0402 2301 0000 3210\n', ...solving]],
    [
      'a grid with something else in it',
      ['r3c1=1: 0402 2301 1300 3210\n', 'Stuck at r3c2: boxed{0402 2301 1300 3210}'],
    ],
    ['a grid that forgets', ['r3c1=1: 0402 2301 0000 3210\n', ...solving]],
    ['a line that is cut off', ['r3c1=1: 0402 2301 1000 3210', stuck]],
    ['another box than the last grid', [slip, 'Stuck at r3c2: boxed{0402 2301 1000 3214}']],
    ['stuck where a digit fits', [slip, 'Stuck at r4c4: boxed{0402 2301 1000 3210}']],
    ['stuck at a full cell', [slip, 'Stuck at r3c1: boxed{0402 2301 1000 3210}']],
    ['solved while cells are empty', [slip, 'Solved: boxed{0402 2301 1000 3210}']],
    ['solved by a box alone', [`Solved: boxed{${solution}}`]],
    ['a missing answer', solving.slice(0, -1)],
    ['no steps', []],
  ])('refuses %s', (_name, steps) => expect(isSound(...(steps as string[]))).toBe(false));
});

describe('the scripted writer', () => {
  const puzzles = sudoku4.generate({ split: 'train', count: 100, seed: 7 }) as SudokuProblem[];
  const attempts = (retries: number) =>
    puzzles.map((problem, i) => {
      const prompt = sudoku4.prompt(problem)[0]!.content;
      const text = sudoku4.script(prompt, createRandom(i), retries);
      return { problem, prompt, text: text ?? '' };
    });

  it('makes sound attempts, right and wrong ones both often', () => {
    const single = attempts(0);
    for (const { problem, text } of single) {
      expect(sudoku4.isSound(problem, sudoku4.splitSteps(problem, text))).toBe(true);
      expect(countBacktracks(text, sudoku4.phrases)).toBe(0);
    }
    const right = single.filter(({ problem, text }) => sudoku4.verify(problem, text).correct === true).length;
    expect(right).toBeGreaterThan(30);
    expect(right).toBeLessThan(70);
  });

  it('goes back at most so many times as it may, and is right more often', () => {
    const rightOf = (retries: number) =>
      attempts(retries).filter(({ problem, text }) => sudoku4.verify(problem, text).correct === true).length;
    const backtracks = attempts(3).map(({ text }) => countBacktracks(text, sudoku4.phrases));
    expect(Math.max(...backtracks)).toBe(3);
    expect(rightOf(3)).toBeGreaterThan(rightOf(0) + 10);
  });

  it('continues its own text from any line, going back only as often as is left', () => {
    for (const { problem, prompt, text } of attempts(3)) {
      const lines = text.split(/(?<=\n)/);
      for (let kept = 0; kept < lines.length; kept += 1) {
        const begun = lines.slice(0, kept).join('');
        const rest = sudoku4.script(prompt + begun, createRandom(kept), 3);
        expect(rest).not.toBeNull();
        expect(countBacktracks(begun + rest, sudoku4.phrases)).toBeLessThanOrEqual(3);
        expect(sudoku4.verify(problem, begun + rest).answer).toBeDefined();
      }
    }
  });

  it.each(['', 'Use 4 9 3 to make 39\n', 'Sudoku 1234\n', `Sudoku ${given}`, `Sudoku ${given}\nr3c1=2: nonsense\n`])(
    'has nothing to say to %j',
    (text) => expect(sudoku4.script(text, createRandom(1), 3)).toBeNull(),
  );
});

describe('the task list', () => {
  it('has it, with its options', () => {
    expect(getTask(sudoku4Task.options.parse({ name: 'sudoku4' })).name).toBe('sudoku4');
    expect(sudoku4Task.options.safeParse({ name: 'sudoku4', givens: 3 }).success).toBe(false);
  });
});
