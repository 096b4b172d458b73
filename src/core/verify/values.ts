import type { Expression } from './expression.ts';

/** A typed answer. */
export type Value =
  | Scalar
  | Text
  | { kind: 'choice'; letter: string; rest: Value | null }
  /** `1, 2`, `1 or 2`, and what ± stands for. `joined` is the word between the parts, if there is one. */
  | { kind: 'list'; items: Value[]; joined: 'or' | 'and' | null }
  | { kind: 'set'; items: Value[] }
  /** A point, a vector or an interval: `(1, 2)`, `[0, \infty)`. */
  | { kind: 'tuple'; open: Bracket; close: Bracket; items: Value[] }
  /** `\{x \mid x > 2\}` */
  | { kind: 'builder'; element: Value; condition: Value }
  /** ∪ and \ of intervals and sets, left to right. */
  | { kind: 'union'; parts: Value[]; removed: Value[] }
  | { kind: 'matrix'; determinant: boolean; rows: Value[][] }
  /** `a < b ≤ c`; parts.length = relations.length + 1 */
  | { kind: 'chain'; parts: Value[]; relations: Relation[] }
  | { kind: 'ratio'; parts: Expression[]; clock: boolean }
  | { kind: 'based'; digits: string; base: number; value: bigint }
  /** ℝ, ∅ … */
  | { kind: 'named'; name: string };

export interface Scalar {
  kind: 'scalar';
  expression: Expression;
  /** `cm^2`, `percent`, `degree`, a noun; null when there is none. Units are dropped unless both answers have one. */
  unit: Unit | null;
  /** The other reading of `5 m`, `100,200`. */
  alternative: Value | null;
}

export interface Unit {
  name: string;
  /** Of the table; otherwise any noun. */
  known: boolean;
}

/** `folded`: letters and digits, for comparing; `words`: the same with the words kept apart. */
export interface Text {
  kind: 'text';
  folded: string;
  words: string;
}

export type Bracket = '(' | ')' | '[' | ']' | '⟨' | '⟩';
export type Relation = '=' | '<' | '>' | '<=' | '>=' | '!=' | 'in' | '≡' | 'mod';

export function scalar(expression: Expression, unit: Unit | null = null): Scalar {
  return { kind: 'scalar', expression, unit, alternative: null };
}
