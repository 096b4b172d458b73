import { describe, expect, it } from 'vitest';
import { extractAnswer } from '../../../src/core/verify/index.ts';

const boxed = (text: string): string | null => extractAnswer(text)?.answer ?? null;

describe('extracting the final answer', () => {
  it.each<[text: string, answer: string | null, why: string]>([
    ['so \\boxed{5}', '5', 'a box'],
    ['\\boxed{5} then \\boxed{6}', '6', 'the last one'],
    ['\\boxed{\\frac{1}{2}}', '\\frac{1}{2}', 'braces inside'],
    ['\\boxed{\\{1,2\\}}', '\\{1,2\\}', 'escaped braces'],
    ['\\boxed{\\left\\{1\\right.}', '\\left\\{1\\right.', 'an escaped brace without partner'],
    ['\\boxed {5}', '5', 'a space'],
    ['\\fbox{5}', '5', 'a frame'],
    ['\\\\boxed{5}', '5', 'escaped twice'],
    ['\\boxed 5', '5', 'no braces'],
    ['\\boxed 42.', '42', 'no braces, all digits'],
    ['\\boxed\\frac12 ', '\\frac12', 'no braces, a command'],
    ['\\boxed{5} and \\boxed{}', '5', 'an empty box is none'],
    ['\\boxed{5} and \\boxed{ ~\\, }', '5', 'nor is one of spaces'],
    ['\\boxed{5} and then \\boxed{6', '5', 'an earlier complete box stays'],
    ['\\boxed{6', null, 'an unclosed box is no answer'],
    ['\\boxed{\\frac{\\boxed{3}}{', null, 'a box inside it does not rescue it'],
    ['I write it in \\boxed{\nThe answer: \\boxed{7}', '7', 'unless a new line began: the first was given up'],
    ['\\boxed{\\boxed{5}}', '\\boxed{5}', 'the outermost of nested boxes'],
    ['\\boxed{x = \\boxed{5}}', 'x = \\boxed{5}', 'the outermost of nested boxes'],
    ['the answer is 5', null, 'nothing is guessed'],
    ['\\boxedX{5}', null, 'another command'],
    ['', null, 'nothing'],
    ['steps\n#### 18', '18', 'the last line of GSM8K'],
    ['steps\n#### 1,234\n\n', '1,234', 'with a separator and empty lines after'],
    ['steps\n#### $18.50', '$18.50', 'with money'],
    ['#### 18\nmore', null, 'not in the last line'],
    ['text\n#### Step 4', null, 'a heading'],
    ['\\boxed{5}\n#### 6', '5', 'a box comes first'],
  ])('%j gives %j: %s', (text, answer) => expect(boxed(text)).toBe(answer));

  it('says where the answer came from', () => {
    expect(extractAnswer('\\boxed{5}')?.from).toBe('boxed');
    expect(extractAnswer('#### 5')?.from).toBe('marker');
  });

  it('joins the boxes of one sentence only when asked', () => {
    const text = 'First \\boxed{9}. The roots are $\\boxed{1}$ and $\\boxed{-2}$, that is \\boxed{1} again.';
    expect(boxed(text)).toBe('1');
    expect(extractAnswer(text, { joinBoxes: true })?.answer).toBe('-2, 1');
    expect(extractAnswer('\\boxed{1} or \\boxed{2}', { joinBoxes: true })?.answer).toBe('1, 2');
  });

  it('reads megabytes of unclosed boxes in one pass', () => {
    expect(boxed('\\boxed{'.repeat(150_000))).toBeNull();
    expect(boxed(`\\boxed{3}${'\\boxed{'.repeat(150_000)}`)).toBe('3');
    expect(boxed(`${'\\boxed{'.repeat(100_000)}7${'}'.repeat(100_000)}`)?.endsWith('7}')).toBe(false);
    expect(boxed('{'.repeat(1_000_000))).toBeNull();
  });
});
