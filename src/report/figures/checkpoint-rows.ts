import type * as Plot from '@observablehq/plot';
import type { Score } from '../summary-schema.ts';

const ROW_HEIGHT = 28;

/** The frame of a drawing with a row for each checkpoint. */
export function checkpointRows(scores: readonly Score[], width: number, marginRight: number): Plot.PlotOptions {
  const longest = Math.max(0, ...scores.map(({ checkpoint }) => checkpoint.length));
  return {
    width,
    height: scores.length * ROW_HEIGHT + 36,
    marginLeft: Math.min(width * 0.4, 16 + 7.2 * longest),
    marginRight,
    marginTop: 4,
    marginBottom: 30,
    y: { domain: scores.map(({ checkpoint }) => checkpoint), label: null, tickSize: 0, padding: 0.25 },
  };
}
