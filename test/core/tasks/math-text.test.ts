import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMath } from '../../../src/core/tasks/math.ts';
import type { MathProblem } from '../../../src/core/tasks/math-rows.ts';

const math = createMath({ format: 'auto', prompt: 'instruct' });
const problem: MathProblem = { id: 'p', data: { problem: 'What is 12 + 30?', answer: '42', format: 'plain' } };
const split = (text: string) => math.splitSteps(problem, text);

/** What a sampler with `keepsStop: false` returns for each step when the model keeps writing `text`. */
function sampleStepwise(text: string): string[] {
  const steps: string[] = [];
  for (let rest = text; ; ) {
    const stops = math.stepStops(problem, steps);
    const at = Math.min(...stops.map((stop) => rest.indexOf(stop)).filter((index) => index >= 0));
    steps.push(Number.isFinite(at) ? rest.slice(0, at) : rest);
    if (math.isTerminal(problem, steps)) return steps;
    rest = rest.slice(steps.at(-1)?.length);
  }
}

describe('a step', () => {
  it('is sampled up to the next header, which belongs to the next step', () => {
    expect(math.stepStops(problem, [])).toContain('## Step 2');
    expect(math.stepStops(problem, ['## Step 1: a\n\n'])).toContain('## Step 3');
    expect(math.keepsStop).toBe(false);
  });

  it.each([
    ['holds a box', '## Step 1: Add\nIt is \\boxed{42}.\n\n', true],
    ['ended inside a line: by itself or at the token limit', '## Step 1: Add\nIt is', true],
    ['says nothing', '\n \n', true],
    ['is empty', '', true],
    ['ends at the next header', '## Step 1: Add\nIt is 42.\n\n', false],
    ['ends at an indented header', '## Step 1: Add\nIt is 42.\n  ', false],
    ['ends at a bold or deeper header', '## Step 1: Add\nIt is 42.\n\n**', false],
    ['opens a box and does not close it', '## Step 1: Add\nIt is \\boxed{42\n\n', false],
    ['has an empty box', '## Step 1: Add\nIt is \\boxed{}.\n\n', false],
    ['claims an answer without a box', '## Step 1: Add\nThe answer is 42.\n\n', false],
  ])('that %s ends its attempt or does not', (_what, step, ends) => {
    expect(math.isTerminal(problem, [step])).toBe(ends);
    expect(math.isTerminal(problem, ['## Step 1: before\n\n', step])).toBe(ends);
  });

  it('is not an attempt before the first one', () => {
    expect(math.isTerminal(problem, [])).toBe(false);
  });
});

describe('splitting a whole solution', () => {
  const first = '## Step 1: Look\nTwo numbers.\n\n';
  const second = '## Step 2: Add\n12 + 30 = 42.\n\n';
  const last = '## Step 3: Answer\n\\boxed{42}';

  it.each<[string, string[]]>([
    ['three steps', [first, second, last]],
    ['a preamble, which belongs to the first step', [`\ufeff\nTo solve this we add.\n\n${first}`, second, last]],
    ['deeper, indented and bold headers', [`${first}#`, `#${second}  `, `${last}`]],
    ['headers without titles or blank lines', ['## Step 1\na\n', '## Step 2\nb\n', '## Step 3\nc']],
    ['Windows line ends', ['## Step 1: a\r\n\r\n', '## Step 2: b\r\nc']],
    ['a box before the last header, which ends the attempt', [first, `## Step 2: Add\n\\boxed{42}\n\n${last}`]],
    ['a number that is skipped', [first, `## Step 2: Add\n\n## Step 4: Answer\n\\boxed{42}`]],
    ['numbers that begin again', [first, `${second}${first}${second}`]],
    ['no header at all', ['It is \\boxed{42}.']],
    ['no text', []],
  ])('handles %s', (_what, steps) => {
    expect(split(steps.join(''))).toEqual(steps);
  });

  it('leaves words inside a line alone', () => {
    const text = '## Step 1: Plan\nIn ## Step 2 we add, see "## Step 2".\n\n';
    expect(split(`${text}${second}`)).toEqual([text, second]);
  });

  const line = fc.oneof(
    fc.stringMatching(/^[ -~]{0,30}$/),
    fc.constantFrom('', '```', '# Step 2', '- Step 2', '$x$', '\\boxed{', 'é∑', '#### 42', 'Step 3:'),
  );
  const body = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join('\n'));
  const solution = fc
    .array(fc.tuple(fc.constantFrom('##', '###'), body, fc.constantFrom('\n', '\n\n', '\r\n\r\n')), {
      minLength: 1,
      maxLength: 12,
    })
    .filter((steps) => steps.every(([, text]) => !/boxed\{[^{}]|## Step/.test(text)))
    .map((steps) => steps.map(([marks, text, end], k) => `${marks} Step ${k + 1}: ${text}${end}`))
    .map((steps) => [...steps.slice(0, -1), `${steps.at(-1)?.trimEnd()}\nThe answer is \\boxed{42}.`]);

  it('gives the steps that sampling one by one would have given', () => {
    fc.assert(
      fc.property(solution, (steps) => {
        expect(split(steps.join(''))).toEqual(steps);
        expect(sampleStepwise(steps.join(''))).toEqual(steps);
      }),
    );
  });

  it('never loses a character, and no step but the last ends the attempt', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('## Step 2', '\n## Step 2', '\n### Step 3: ', '\\boxed{1}', '\n'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const steps = split(pieces.join(''));
        expect(steps.join('')).toBe(pieces.join(''));
        expect(math.isTerminal(problem, steps.slice(0, -1))).toBe(false);
      }),
    );
  });

  it('is linear in long texts', () => {
    const many = Array.from({ length: 20_000 }, (_, k) => `## Step ${k + 1}: a\n${'text '.repeat(10)}\n`);
    expect(split(many.join(''))).toHaveLength(20_000);
    expect(split('see ## Step 2 '.repeat(100_000))).toHaveLength(1);
    expect(split(`${'\n'.repeat(1_000_000)}## Step 2`)).toHaveLength(1);
  });
});
