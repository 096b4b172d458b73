/**
 * The one place that knows how a solution is written, and how models are asked for it:
 *
 *     ## Step 1: Count the bags
 *     In all it sells 14 + 9 = 23 bags.
 *
 *     ## Step 2: Count the rolls
 *     That makes 23 * 6 = 138 rolls.
 *     The answer is \boxed{138}.
 */
import { extractAnswer } from '../verify/index.ts';

export const promptStyles = ['instruct', 'few-shot'] as const;
export type PromptStyle = (typeof promptStyles)[number];

/** Where the next problem of a few-shot prompt would begin. */
export const NEXT_PROBLEM = '\nProblem:';

const ASK = 'Solve the math problem below step by step.\n\nProblem:\n';
const RULES = `

Rules for the solution:
- Start every step with a header line of its own: "## Step 1: …", then "## Step 2: …" and so on, with a short title.
- Make every step minimal: one deduction or one calculation.
- Put the final answer into \\boxed{} at the end of the last step. Box nothing else.`;

const EXAMPLES_INTRO =
  'Below, math problems are solved in small steps. Each step starts with a header line, and the last one puts the ' +
  'final answer into \\boxed{}.';

const EXAMPLES = [
  [
    'A bakery packs 6 rolls into each bag. It sells 14 bags in the morning and 9 in the afternoon. How many rolls does ' +
      'it sell that day?',
    '## Step 1: Count the bags\nIn all it sells 14 + 9 = 23 bags.',
    '## Step 2: Count the rolls\nEach bag holds 6 rolls, which makes 23 * 6 = 138 rolls.\nThe answer is \\boxed{138}.',
  ],
  [
    'If $5x - 7 = 2x + 14$, what is the value of $x^2$?',
    '## Step 1: Collect the terms in x\nSubtracting $2x$ and adding $7$ on both sides gives $3x = 21$.',
    '## Step 2: Find x\nDividing by $3$ gives $x = 7$.',
    '## Step 3: Square it\n$x^2 = 7^2 = 49$.\nThe answer is \\boxed{49}.',
  ],
  [
    'How many three-digit numbers consist of three different odd digits?',
    '## Step 1: Choose the first digit\nThe odd digits are 1, 3, 5, 7 and 9, so there are 5 choices.',
    '## Step 2: Choose the other digits\nThe digits differ, which leaves 4 choices for the second and 3 for the third.',
    '## Step 3: Multiply the choices\nThere are $5 \\cdot 4 \\cdot 3 = 60$ such numbers.\nThe answer is \\boxed{60}.',
  ],
  [
    'Mira drinks $\\frac{2}{5}$ of a bottle of juice, and later half of what is left. What fraction of the bottle remains?',
    '## Step 1: Find what is left at first\nAfter the first drink, $1 - \\frac{2}{5} = \\frac{3}{5}$ of the bottle is left.',
    '## Step 2: Take half of it\nHalf of $\\frac{3}{5}$ is $\\frac{3}{10}$, and as much remains.\n' +
      'The answer is \\boxed{\\frac{3}{10}}.',
  ],
] as const;

const EXAMPLES_TEXT = [
  EXAMPLES_INTRO,
  ...EXAMPLES.map(([problem, ...steps]) => `Problem: ${problem}\nSolution:\n${steps.join('\n\n')}`),
].join('\n\n');

/** One user message's content: chat templates without a system role take it, and so does plain text. */
export function promptText(problem: string, style: PromptStyle): string {
  return style === 'instruct' ? ASK + problem + RULES : `${EXAMPLES_TEXT}\n\nProblem: ${problem}\nSolution:\n`;
}

/**
 * The last problem that a text asks for, in either style and whatever a chat template put around it, and what stands
 * after the prompt. Null when the text holds no prompt of ours.
 */
export function readPrompt(text: string): { problem: string; after: string } | null {
  const rules = text.lastIndexOf(RULES);
  const ask = rules < 0 ? -1 : text.lastIndexOf(ASK, rules);
  if (ask >= 0) return { problem: text.slice(ask + ASK.length, rules), after: text.slice(rules + RULES.length) };
  if (!text.includes(EXAMPLES_TEXT)) return null;
  const [label, end] = [`${NEXT_PROBLEM} `, '\nSolution:'];
  const solution = text.lastIndexOf(end);
  const start = text.lastIndexOf(label, solution) + label.length;
  return { problem: text.slice(start, solution), after: text.slice(solution + end.length) };
}

/**
 * How the headers of step k begin. The longer one first: it contains the other, and servers that look for stop strings
 * one by one would leave its first `#` in the step before.
 */
export function stepHeaders(k: number): string[] {
  return [`### Step ${k}`, `## Step ${k}`];
}

/** Whether a step ends its attempt: by a box, by ending inside a line (not at the next header), or by saying nothing. */
export function isLastStep(step: string): boolean {
  const end = beforeDecoration(step, step.length);
  return step.slice(0, end).trim() === '' || !step.slice(end).includes('\n') || holdsBox(step);
}

/**
 * Cuts before the headers of steps 2, 3, … where they start a line, in this order. No step but the last holds a box or
 * is blank, so none but the last is one that sampling would have ended at. Linear in the text.
 */
export function splitAtHeaders(text: string): string[] {
  if (text === '') return [];
  const steps: string[] = [];
  let start = 0;
  for (;;) {
    const end = nextHeader(text, start, steps.length + 2);
    const step = text.slice(start, end);
    if (end < 0 || isLastStep(step)) break;
    steps.push(step);
    start = end;
  }
  return [...steps, text.slice(start)];
}

/** Where the line of step k's header has its first `#`; -1 when there is none at or after `from`. */
function nextHeader(text: string, from: number, k: number): number {
  const [, header] = stepHeaders(k) as [string, string];
  for (let at = text.indexOf(header, from); at >= 0; at = text.indexOf(header, at + 1)) {
    const start = at > from && text[at - 1] === '#' ? at - 1 : at;
    if (isLineStart(text, start)) return start;
  }
  return -1;
}

function isLineStart(text: string, at: number): boolean {
  const end = beforeDecoration(text, at);
  return end === 0 || text.slice(end, at).includes('\n');
}

/** Where the white space and the marks that models put before a header (`**`, `> `, more `#`) begin, left of `at`. */
function beforeDecoration(text: string, at: number): number {
  let end = at;
  while (end > 0 && /[\s#*>]/.test(text[end - 1] as string)) end -= 1;
  return end;
}

function holdsBox(step: string): boolean {
  return step.includes('box') && extractAnswer(step)?.from === 'boxed';
}
