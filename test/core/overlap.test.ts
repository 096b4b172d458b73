import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findOverlap, tokensOf } from '../../src/core/overlap.ts';
import type { Task } from '../../src/core/task.ts';
import { defaultTasks } from '../../src/core/tasks/index.ts';

const overlap = (tests: string[], training: string[]) => findOverlap(tests, training, (text) => text);
const isExact = (a: string, b: string) => overlap([a], [b])[0]?.how === 'exact';

const long =
  'Max bought stamps at the post office. Some of the stamps had a snowflake design, some had a truck design.';
const alike = 'Bella bought stamps at the post office. Some of the stamps had a snowflake, others a rose.';
const shared = 'bought stamps at the post office some of the stamps had a snowflake';

describe('two statements are the same', () => {
  it.each([
    ['case', 'Find X', 'find x'],
    ['white space', 'Find  x.\n', 'Find x.'],
    ['sentence punctuation', 'First, find "x"; then stop!', 'First find x. Then stop'],
    ['curly quotes', 'Natalia’s clips', "Natalia's clips"],
    ['compatible Unicode forms', 'ﬁnd ４２ ｘ', 'find 42 x'],
    ['the minus sign', '5 − 3', '5 - 3'],
    ['hyphens inside words', 'a twenty-five', 'a twenty five'],
    ['thousands', 'earns $1,200,000', 'earns 1200000'],
    ['thousands in LaTeX', '$1{,}200$ and $1\\,200$', '1200 and 1200'],
    ['math delimiters', 'Find \\(x\\) and \\[y\\]', 'Find $x$ and $$y$$'],
    ['LaTeX spacing', 'f\\left( x \\right)\\,=\\;2\\quad y', 'f(x)=2 y'],
    ['LaTeX fonts', '2\\text{ cm} and \\mathrm{d}x', '2 { cm} and {d}x'],
    ['fraction styles', '\\dfrac{1}{2}+\\tfrac{1}{3}', '\\frac{1}{2}+\\frac{1}{3}'],
    ['ties', 'Problem~5', 'Problem 5'],
  ])('up to %s', (_name, a, b) => {
    expect(tokensOf(a)).toEqual(tokensOf(b));
    expect(isExact(a, b)).toBe(true);
  });

  it.each([
    ['another number', 'Use 4 9 3 to make 39', 'Use 4 9 3 to make 38'],
    ['another order of numbers', 'Use 4 9 3 to make 39', 'Use 9 4 3 to make 39'],
    ['decimals', 'Find 1.5', 'Find 15'],
    ['decimals and two numbers', 'Find 1.5', 'Find 1 5'],
    ['no thousands', 'The points 1,2 and 3', 'The points 12 and 3'],
    ['another operator', 'Find 3+4', 'Find 3*4'],
    ['a sign', 'Find -3', 'Find 3'],
    ['brackets', 'Find 3*(4+5)', 'Find 3*4+5'],
    ['kinds of bracket', 'on the interval [0,1]', 'on the interval (0,1)'],
    ['a relation', 'where x < 5', 'where x > 5'],
    ['a factorial', 'Find 5!', 'Find 5'],
    ['a derivative', "Find f'(2)", 'Find f(2)'],
    ['per cent', 'Find 5%', 'Find 5'],
    ['powers', 'Find 2^10', 'Find 210'],
    ['words that begin like a command', '\\leftarrow x', '\\left x'],
  ])('but not with %s', (_name, a, b) => expect(isExact(a, b)).toBe(false));
});

describe('overlap', () => {
  it('names the test, the first training problem it stands in, and how', () => {
    expect(overlap(['Find x', 'Find y'], ['Find z', 'FIND Y.', 'Find y'])).toEqual([
      { test: 'Find y', training: 'FIND Y.', how: 'exact' },
    ]);
  });

  it('is thirteen words in a row, signs and punctuation aside', () => {
    expect(overlap([long], [alike])).toEqual([{ test: long, training: alike, how: '13-gram', gram: shared }]);
    const signs = shared.replace(' of the ', ' (of) + the: ');
    expect(overlap([long], [`He ${signs}`])).toMatchObject([{ how: '13-gram', gram: shared }]);
  });

  it('is not twelve words, nor thirteen with a gap', () => {
    expect(overlap([long], [shared.replace(' snowflake', ' rose')])).toEqual([]);
    expect(overlap([long], [shared.replace('office', 'office today')])).toEqual([]);
  });

  it('of a test with fewer than thirteen words is only exact', () => {
    const short = 'a b c d e f g h i j k l';
    expect(overlap([short], [`${short} m`])).toEqual([]);
    expect(overlap([short], [short])).toMatchObject([{ how: 'exact' }]);
    expect(overlap([`${short} m`], [`${short} m n`])).toMatchObject([{ how: '13-gram' }]);
  });

  it('says exact where it is, even if an earlier training problem shares words', () => {
    expect(overlap([long], [alike, long])).toEqual([{ test: long, training: long, how: 'exact' }]);
  });

  it('lists every test once, also those that are equal to each other, in their order', () => {
    const tests = ['Find a', long, 'Find b', long, 'Find a'];
    const found = findOverlap([...tests.entries()], [...[alike, 'Find a'].entries()], ([, text]) => text);
    expect(found.map(({ test, training }) => [test[0], training[0]])).toEqual([
      [0, 1],
      [1, 0],
      [3, 0],
      [4, 1],
    ]);
  });

  it('has nothing to say about empty lists and empty texts', () => {
    expect(overlap([], [long])).toEqual([]);
    expect(overlap([long], [])).toEqual([]);
    expect(overlap([''], [long, 'Find x'])).toEqual([]);
  });

  it('finds what comparing all pairs finds', () => {
    const words = (text: string) => text.split(' ');
    const gramsOf = (text: string) =>
      new Set(words(text).flatMap((_, i, all) => (i + 13 <= all.length ? [all.slice(i, i + 13).join(' ')] : [])));
    // Few words and long texts, so that grams repeat inside a text and between texts.
    const text = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 24 }).map((list) => list.join(' '));
    const texts = fc.array(text, { maxLength: 12 });
    fc.assert(
      fc.property(texts, texts, (tests, training) => {
        const found = findOverlap([...tests.entries()], [...training.entries()], ([, one]) => one);
        const expected = tests.flatMap((test, i) => {
          const exact = training.indexOf(test);
          if (exact >= 0) return [[i, exact, 'exact']];
          const grams = gramsOf(test);
          const sharing = training.findIndex((one) => [...gramsOf(one)].some((gram) => grams.has(gram)));
          return sharing < 0 ? [] : [[i, sharing, '13-gram']];
        });
        expect(found.map(({ test, training: other, how }) => [test[0], other[0], how])).toEqual(expected);
        for (const { test, training: other, gram } of found) {
          if (gram === undefined) continue;
          expect(gramsOf(test[1]).has(gram) && gramsOf(other[1]).has(gram)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('problems that are the same by their identity', () => {
  const sorted = (text: string) => text.split(' ').sort().join(' ');

  it('overlap exactly, whatever their words, each test once with the first training problem', () => {
    const found = findOverlap(['4 9 3', '5 5 1', '7 7 7'], ['9 3 4', '4 9 3', '1 5 5'], (text) => text, sorted);
    expect(found).toEqual([
      { test: '4 9 3', training: '9 3 4', how: 'exact' },
      { test: '5 5 1', training: '1 5 5', how: 'exact' },
    ]);
  });

  it('are only what the task says: without an identity words alone count', () => {
    expect(findOverlap(['4 9 3'], ['9 3 4'], (text) => text)).toEqual([]);
  });
});

describe('identities of tasks', () => {
  const named = (name: string) => defaultTasks().find((task) => task.name === name) as Task;

  it('take numbers of Countdown in any order, with one target', () => {
    const identity = (numbers: number[], target: number) => {
      const task = named('countdown');
      return task.identity?.(task.parseRow({ numbers, target }));
    };
    expect(identity([4, 9, 3], 39)).toBe(identity([9, 3, 4], 39));
    expect(identity([4, 9, 3], 39)).not.toBe(identity([4, 9, 3], 33));
  });

  it('take a relabelled Sudoku for the same', () => {
    const task = named('sudoku4');
    const identity = (puzzle: string) => task.identity?.(task.parseRow({ puzzle }));
    expect(identity('4300 0104 0200 0002')).toBe(identity('3400 0103 0200 0002'));
  });
});
