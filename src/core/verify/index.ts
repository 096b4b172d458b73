export { type CheckOptions, checkAnswer, isCheckable } from './check.ts';
export { answerClass } from './compare/answer-class.ts';
export { type Extracted, extractAnswer } from './extract.ts';
export { type Graded, type GradeOptions, gradeRow } from './grade.ts';
export { type Parsed, parseAnswer } from './parse/parse-answer.ts';
export type { Value } from './values.ts';
export type { Verdict } from './verdict.ts';
