import { LimitError, MAX_DEPTH } from '../limits.ts';
import type { Tokens } from './brackets.ts';
import type { Token } from './tokenize.ts';

/** Where the parser of scalars stands. */
export interface State {
  tokens: Tokens;
  at: number;
  to: number;
  /** Digits or letters at `at` that are already read: `\frac12` and `x^ab` take them one by one. */
  skip: number;
  /** Absolute value bars that are open. */
  bars: number;
  depth: number;
}

export function peek(state: State, ahead = 0): Token | undefined {
  return state.at + ahead < state.to ? state.tokens.list[state.at + ahead] : undefined;
}

export function isOperator(token: Token | undefined, ...values: string[]): boolean {
  return token?.type === 'operator' && values.includes(token.value);
}

export function describe(token: Token | undefined): string {
  return token === undefined ? 'the end' : token.value.slice(0, 40);
}

export function deeper<T>(state: State, read: () => T): T {
  state.depth += 1;
  if (state.depth > MAX_DEPTH) throw new LimitError(`it is nested deeper than ${MAX_DEPTH}`);
  const result = read();
  state.depth -= 1;
  return result;
}
