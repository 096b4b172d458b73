import { problemNotes } from './problem-notes.ts';
import { scoreNotes } from './score-notes.ts';
import type { Summary } from './summary-schema.ts';
import {
  benchmarksOf,
  comparisonsOf,
  comparisonTable,
  coverage,
  sampleSize,
  scoresOf,
  scoreTable,
  type Table,
} from './tables.ts';
import { verdict } from './verdict.ts';

export interface TerminalOptions {
  color: boolean;
  /** Columns of the terminal. */
  width: number;
}

const GAP = '  ';
const BAR_CELLS = 14;

/**
 * The score table at the end of a run: one block per benchmark with scores, intervals and paired differences, then the
 * verdict, what is to know of the problems, and what the intervals cover. No line is wider than the terminal: prose wraps, and tables lose columns from
 * the right. Meaning never depends on colour.
 */
export function renderScores(summary: Summary, options: TerminalOptions): string {
  const paint = painter(options.color);
  const blocks = benchmarksOf(summary).map((benchmark) => {
    const scores = scoresOf(summary, benchmark);
    const bars = ['', ...scores.map((score) => bar(score.passAt1.value))];
    const comparisons = comparisonsOf(summary, benchmark);
    return [
      ...wrap(`${benchmark} (${sampleSize(scores)})`, options.width).map(paint.bold),
      ...layOut(scoreTable(scores), options.width, paint, bars),
      ...(comparisons.length > 0 ? ['', ...layOut(comparisonTable(comparisons), options.width, paint)] : []),
    ].join('\n');
  });
  const closing = [
    ...wrap(verdict(summary), options.width).map(paint.bold),
    ...[...problemNotes(summary), ...scoreNotes(summary)].flatMap((note) => wrap(note, options.width)),
    ...wrap(coverage(summary), options.width).map(paint.dim),
  ].join('\n');
  return `${[...blocks, closing].join('\n\n')}\n`;
}

function layOut(table: Table, width: number, paint: Painter, bars?: readonly string[]): string[] {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const shown = columnsThatFit(widths, width);
  const used = widths.slice(0, shown).reduce((sum, cells) => sum + cells + GAP.length, 0);
  const drawBars = bars !== undefined && used + BAR_CELLS <= width;
  return table.map((row, line) => {
    const cells = row
      .slice(0, shown)
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)));
    const text = cells.join(GAP).trimEnd();
    if (line === 0) return paint.dim(text);
    return drawBars ? `${text}${GAP}${paint.blue(bars[line] ?? '')}`.trimEnd() : text;
  });
}

/** Columns from the left that fit; the first one always. */
function columnsThatFit(widths: readonly number[], width: number): number {
  let used = -GAP.length;
  const tooWide = widths.findIndex((cells) => {
    used += cells + GAP.length;
    return used > width;
  });
  return tooWide === -1 ? widths.length : Math.max(1, tooWide);
}

/** A share as a bar of eighths of a cell. */
function bar(share: number): string {
  const eighths = Math.round(share * BAR_CELLS * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + (['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8] ?? '');
}

/** A word that is wider than the terminal (a path) is cut: the terminal would do no better. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((long) => long.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [long])) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

interface Painter {
  bold(text: string): string;
  dim(text: string): string;
  blue(text: string): string;
}

function painter(color: boolean): Painter {
  const style = (on: number, off: number) => (text: string) =>
    color && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return { bold: style(1, 22), dim: style(2, 22), blue: style(34, 39) };
}
