import { z } from 'zod';
import { sha256Hex } from '../key.ts';
import type { Verdict } from '../problem.ts';
import type { Task, TaskDefinition, TaskOptions, VerdictUse } from '../task.ts';
import { trimEndOf } from '../trim-end.ts';
import { answerClass, checkAnswer, extractAnswer, isCheckable } from '../verify/index.ts';
import { astroPhrases } from './astro-phrases.ts';
import { type MathFormat, type MathProblem, mathFormats, normalizeProblem, readMathRow } from './math-rows.ts';
import { scriptMath } from './math-script.ts';
import {
  isLastStep,
  NEXT_PROBLEM,
  type PromptStyle,
  promptStyles,
  promptText,
  splitAtHeaders,
  stepHeaders,
} from './math-text.ts';

export interface MathOptions {
  /** The shape of the rows. */
  format: MathFormat | 'auto';
  /** `instruct` says what to write; `few-shot` shows it, for base models. */
  prompt: PromptStyle;
}

const options = z.strictObject({
  name: z.literal('math'),
  format: z.enum(['auto', ...mathFormats]).default('auto'),
  prompt: z.enum(promptStyles).default('instruct'),
});

export const mathTask: TaskDefinition<MathOptions & TaskOptions> = { name: 'math', options, create: createMath };

/** Mathematics with a checkable answer, in steps under `## Step k` headers. */
export function createMath({ format, prompt }: MathOptions): Task<MathProblem> {
  return {
    name: 'math',
    version: 1,
    parseRow: (row) => readMathRow(row, format),
    generate() {
      throw new RangeError('Maths problems are read from a file, such as { "file": "data/gsm8k-train.jsonl" }.');
    },
    family: familyOf,
    kinds: (problem) => {
      const { subject, level, format: source } = problem.data;
      return [
        { name: 'the same question', value: familyOf(problem) },
        ...(subject === undefined || level === undefined
          ? []
          : [{ name: 'the same subject and level', value: `${subject}, level ${level}` }]),
        ...(subject === undefined ? [] : [{ name: 'the same subject', value: subject }]),
        { name: 'the same kind of data set', value: source },
      ];
    },
    statement: ({ data }) => data.problem,
    prompt: ({ data }) => [{ role: 'user', content: promptText(data.problem, prompt) }],

    stepStops: (_problem, steps) => stepHeaders(steps.length + 2),
    keepsStop: false,
    answerStops: prompt === 'few-shot' ? [NEXT_PROBLEM] : [],
    splitSteps: (_problem, text) => splitAtHeaders(text),
    isTerminal: (_problem, steps) => steps.some(isLastStep),

    verify,
    readAttempt,
    answerClass: classOf,
    isSound,
    phrases: astroPhrases,
    script: scriptMath,
  };
}

const familyOf = ({ data }: MathProblem) => sha256Hex(normalizeProblem(data.problem)).slice(0, 16);

/**
 * What the checker cannot decide stays unknown. A score also takes an answer whose parts stand in boxes of their own,
 * side by side.
 */
function verify({ data }: MathProblem, text: string, use: VerdictUse = 'reward'): Verdict {
  const found = extractAnswer(text);
  if (found === null) return { correct: false, reason: 'no answer' };
  const verdict = (answer: string): Verdict => {
    const { equal, reason } = checkAnswer(data.answer, answer, { strict: use === 'reward' });
    return { correct: equal, answer, reason };
  };
  const last = verdict(found.answer);
  const all = use === 'score' ? extractAnswer(text, { joinBoxes: true })?.answer : undefined;
  if (last.correct === true || all === undefined || all === found.answer) return last;
  const joined = verdict(all);
  return joined.correct === true ? joined : last;
}

/** A failed attempt says its answer without a box. */
const STATED_ANSWER = /\banswer is:?[ \t]*([^\n]+)/gi;

/** What an attempt without a box says its answer is; nothing is guessed where it does not say so. */
function readAttempt({ data }: MathProblem, _before: string, attempt: string): Verdict | null {
  if (extractAnswer(attempt) !== null) return null;
  const stated = [...attempt.matchAll(STATED_ANSWER)].at(-1)?.[1];
  const answer = stated && trimEndOf(stated, '. \t\r\u00a0');
  if (answer === undefined || answer === '') return { correct: false, reason: 'states no answer' };
  const { equal, reason } = checkAnswer(data.answer, answer, { strict: false });
  return { correct: equal, answer, reason };
}

/** All right answers are one class, however they are written, by the lenient verdict: nearly right is no wrong attempt. */
function classOf({ data }: MathProblem, answer: string): string {
  const isRight = checkAnswer(data.answer, answer).equal === true;
  return isRight ? `right ${answerClass(data.answer)}` : answerClass(answer);
}

/**
 * Only what rules can tell: every step says something, and the attempt ends in a boxed answer that can be read, as traces
 * need it. Whether the reasoning holds is for a judge.
 */
function isSound(_problem: MathProblem, steps: readonly string[]): boolean {
  const found = extractAnswer(steps.join(''));
  return found?.from === 'boxed' && isCheckable(found.answer).ok && steps.every((step) => step.trim() !== '');
}
