/**
 * The one place that knows how Countdown is written. A line restates what is left and the target, so that a model
 * needs only the line before it:
 *
 *     Use 4 9 3 to make 39
 *     9*4=36 left 3 36 to make 39
 *     36+3=39 is 39
 *     Answer boxed{(9*4)+3}
 */
import type { Operator } from '../expression.ts';

/** The operation of a line; `result` is what the line claims. */
export interface Equation {
  a: number;
  operator: Operator;
  b: number;
  result: number;
}

/** All lines but an attempt's last: an operation and what it leaves. */
export interface StepLine extends Equation {
  left: number[];
  target: number;
}

/** An attempt's last step: its last operation, a verdict on it, and the claimed answer. */
export interface FinalStep extends Equation {
  isTarget: boolean;
  target: number;
  expression: string;
}

export const BOX = 'boxed{';

const EQUATION = String.raw`(\d{1,9})([-+*/])(\d{1,9})=(\d{1,15})`;
const STEP = new RegExp(String.raw`^${EQUATION} left (\d{1,15}(?: \d{1,15})*) to make (\d{1,15})\n$`);
const FINAL = new RegExp(String.raw`^${EQUATION} is( not)? (\d{1,15})\nAnswer boxed\{([^{}\n]*)\}\n?$`);

/** A failed attempt's last line as a trace shows it: the check, without the boxed answer. */
const CHECK = new RegExp(String.raw`^${EQUATION} is(?: not)? (\d{1,15})$`);
const BACK = /^Wait (?:go back to|start over with) (\d{1,15}(?: \d{1,15})*) to make \d{1,15}$/;

export function promptText(numbers: readonly number[], target: number): string {
  return `Use ${stateText(numbers, target)}\n`;
}

/** `3 36 to make 39`: how a state is named wherever it appears. */
export function stateText(numbers: readonly number[], target: number): string {
  return `${numbers.join(' ')} to make ${target}`;
}

/** Null when the text is not exactly one step line. */
export function parseStepLine(text: string): StepLine | null {
  const match = STEP.exec(text);
  if (match === null) return null;
  return { ...equation(match), left: (match[5] as string).split(' ').map(Number), target: Number(match[6]) };
}

/** Null when the text is not exactly a last line and its answer. */
export function parseFinalStep(text: string): FinalStep | null {
  const match = FINAL.exec(text);
  if (match === null) return null;
  const isTarget = match[5] === undefined;
  return { ...equation(match), isTarget, target: Number(match[6]), expression: match[7] as string };
}

/** Null when the line is not exactly an attempt's last operation and the verdict on it. */
export function parseCheckLine(line: string): Equation | null {
  const match = CHECK.exec(line);
  return match && equation(match);
}

/** The numbers that a line goes back to; null when it does not go back. */
export function parseBackLine(line: string): number[] | null {
  const match = BACK.exec(line);
  return match && (match[1] as string).split(' ').map(Number);
}

function equation(match: RegExpExecArray): Equation {
  return { a: Number(match[1]), operator: match[2] as Operator, b: Number(match[3]), result: Number(match[4]) };
}
