/** One figure of a report or a live page, as pure data and functions: the same summary gives the same text. */
export interface Figure {
  /** Stable; the anchor in the page. */
  id: string;
  title: string;
  /** What is shown, how many it rests on, what an interval covers. */
  caption: string;
  /** The figure in a sentence, for people who do not see it. */
  alt: string;
  /** The drawing as SVG text, for a place of so many CSS pixels: text keeps its size, the rest is laid out anew. */
  draw(width: number): string;
  /** What the marks of the drawing mean. */
  legend: readonly LegendEntry[];
  /** The numbers behind the drawing. */
  table: NumberTable;
  /** Panels of a small multiple stand two in a row. */
  half?: boolean;
}

export interface LegendEntry {
  label: string;
  colour: string;
  symbol: 'circle' | 'square' | 'triangle' | 'diamond' | 'bar' | 'band';
  dash?: string | null;
  /** Where tints of one colour are a scale. */
  opacity?: number;
}

export interface NumberTable {
  head: readonly string[];
  rows: readonly (readonly Cell[])[];
}

/** A name, or a number as `summary.json` has it with its text for people; null: there is none. */
export type Cell = string | { value: number; text: string } | null;

/** CSS pixels: a whole row and half a row of a desk's screen, and a phone of 360 less its margins. */
export const widths = { wide: 840, half: 400, narrow: 320 } as const;

export const isNarrow = (width: number): boolean => width < 480;
