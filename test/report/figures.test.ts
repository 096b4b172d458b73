import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { figuresOf, widths } from '../../src/report/figures/index.ts';
import { buildSummary } from '../../src/report/summary.ts';
import { parseSummary } from '../../src/report/summary-schema.ts';
import { example, input } from './example.ts';
import { hostile, markupOf } from './hostile.ts';

/** As a reader of the file gets it. */
const stored = parseSummary(JSON.parse(JSON.stringify(example)));
const figures = figuresOf(stored);

describe('every figure', () => {
  it.each(figures.map((figure) => [figure.id, figure] as const))(
    '%s is drawn as before, wide and narrow',
    async (id, figure) => {
      for (const [name, width] of Object.entries(widths)) {
        await expect(`${figure.draw(width)}\n`).toMatchFileSnapshot(`golden/${id}-${name}.svg`);
      }
    },
  );

  it('is the same text whenever it is drawn, whatever was drawn before', () => {
    const draw = () => figuresOf(stored).map((figure) => figure.draw(widths.wide));
    const first = draw();
    expect(draw().reverse()).toEqual(first.toReversed());
  });

  it('has a title, a caption that says how many it rests on, a text alternative and a table', () => {
    for (const { title, caption, alt, table, draw } of figures) {
      expect(title).not.toBe('');
      expect(caption).toMatch(/\d/);
      expect(alt).toMatch(/\d/);
      expect(table.rows.length).toBeGreaterThan(0);
      for (const row of table.rows) expect(row).toHaveLength(table.head.length);
      const { document } = parseHTML(draw(widths.narrow));
      const svg = document.querySelector('svg');
      expect(svg?.getAttribute('role')).toBe('img');
      expect(svg?.getAttribute('aria-label')).toContain(alt.slice(0, 40));
      expect(document.querySelectorAll('[id], style, script')).toHaveLength(0);
    }
  });

  it('shows no number that is not in summary.json', () => {
    const known = new Set(numbersIn(stored));
    for (const { id, table } of figures) {
      for (const cell of table.rows.flat()) {
        if (cell !== null && typeof cell === 'object') expect(known, `${id}: ${cell.text}`).toContain(cell.value);
      }
    }
  });

  it('has unique ids, which the page uses as anchors', () => {
    const ids = figures.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('figures of a run that is not like others', () => {
  it('are left out where there is nothing to show', () => {
    const bare = buildSummary(input({ evaluations: [], stages: [], rl: {} }));
    expect(figuresOf(bare).map(({ id }) => id)).toEqual(['funnel', 'cost-tokens', 'cost-time']);
    for (const figure of figuresOf(bare)) expect(figure.draw(widths.wide)).toContain('<svg');
  });

  it('hold names from outside as text only', () => {
    const evaluations = input().evaluations.map((evaluation) => ({ ...evaluation, benchmark: hostile }));
    const named = buildSummary(input({ evaluations, funnel: { ...input().funnel, rejected: { [hostile]: 3 } } }));
    for (const figure of figuresOf(named)) {
      for (const width of Object.values(widths)) expect(markupOf(figure.draw(width))).toEqual([]);
    }
  });
});

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(numbersIn);
}
