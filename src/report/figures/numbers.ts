import { fixed, integer, percent, points, pValue, seconds } from '../format.ts';
import type { Cell } from './figure.ts';

/** Table cells: the number as it is in `summary.json`, and as people read it. */

const cell =
  (text: (value: number) => string) =>
  (value: number | null | undefined): Cell =>
    value === null || value === undefined ? null : { value, text: text(value) };

export const percentCell = cell(percent);
export const pointsCell = cell(points);
export const countCell = cell(integer);
export const secondsCell = cell(seconds);
export const pCell = cell(pValue);
export const fixedCell = (value: number | null | undefined, digits: number): Cell =>
  cell((number) => fixed(number, digits))(value);
