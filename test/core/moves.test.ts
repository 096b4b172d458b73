import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMoves } from '../../src/core/moves.ts';
import { countdown } from '../../src/core/tasks/countdown.ts';
import { countdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import { createMath } from '../../src/core/tasks/math.ts';

const problem = countdownProblem([4, 9, 3], 39);
const maths = createMath({ format: 'auto', prompt: 'instruct' });
const question = maths.parseRow({ problem: 'What is 1 + 1?', answer: '2' });

describe('the moves of an answer', () => {
  it('are forward, reflect, backtrack and answer, each backtrack on its own', () => {
    const text =
      '9*4=36 left 3 36 to make 39\nLooks right so far\n36-3=33 is not 39\nWait go back to 3 36 to make 39\n' +
      'Wait start over with 4 9 3 to make 39\n36+3=39 is 39\nAnswer boxed{(9*4)+3}';
    expect(readMoves(text, countdown, problem, '(9*4)+3')).toEqual([
      { kind: 'forward', text: '9*4=36 left 3 36 to make 39\n' },
      { kind: 'reflect', text: 'Looks right so far\n' },
      { kind: 'forward', text: '36-3=33 is not 39\n' },
      { kind: 'backtrack', text: 'Wait go back to 3 36 to make 39\n' },
      { kind: 'backtrack', text: 'Wait start over with 4 9 3 to make 39\n' },
      { kind: 'forward', text: '36+3=39 is 39\n' },
      { kind: 'answer', text: 'Answer boxed{(9*4)+3}' },
    ]);
  });

  it('follow the phrases of a task in English paragraphs', () => {
    const { phrases } = maths;
    const text =
      `## Step 1: Add\nThat is 3.\n\n${phrases.backtrack(question, ['## Step 1: Add\n'])}` +
      `## Step 1: Add again\nThat is 2.\n\n${phrases.reflectPositive(question, ['x\n\n'])}The answer is \\boxed{2}.`;
    expect(readMoves(text, maths, question, '2').map(({ kind }) => kind)).toEqual([
      'forward',
      'reflect',
      'backtrack',
      'forward',
      'reflect',
      'answer',
    ]);
  });

  it('are one forward move where a text holds nothing else, and none where it is empty', () => {
    expect(readMoves('a\n\nb\n', countdown, problem)).toEqual([{ kind: 'forward', text: 'a\n\nb\n' }]);
    expect(readMoves('', countdown, problem)).toEqual([]);
  });

  it('join to the text, with a backtrack for every line that holds the marker', () => {
    const line = fc.constantFrom(
      'Wait go back\n',
      '1+1=2 left 2 3\n',
      '\n',
      'Looks right so far\n',
      'Answer boxed{2}',
      ' \n',
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(line, fc.string())),
        fc.option(fc.string(), { nil: undefined }),
        (lines, answer) => {
          const text = lines.join('');
          const moves = readMoves(text, countdown, problem, answer);
          expect(moves.map((move) => move.text).join('')).toBe(text);
          const marked = text.split('\n').filter((one) => one.includes('Wait')).length;
          expect(moves.filter(({ kind }) => kind === 'backtrack')).toHaveLength(marked);
        },
      ),
    );
  });
});
