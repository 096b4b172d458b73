import type { Cell, Figure, LegendEntry, NumberTable } from '../figures/figure.ts';
import { widths } from '../figures/figure.ts';
import { type Html, html, trusted } from './escape.ts';

/** Rows of a table in the page; a longer one is thinned. */
const MOST_ROWS = 240;

/** A figure with its title, its drawings for a desk and a phone, its caption, and its numbers as a table. */
export function figureBlock(figure: Figure): Html {
  const { id, title, caption, legend, table, half = false } = figure;
  return html`<figure id="${id}" class="${half ? 'figure half' : 'figure'}">
<h3>${title}</h3>
${legend.length > 0 && legendList(legend)}
<div class="drawing on-wide">${trusted(figure.draw(half ? widths.half : widths.wide))}</div>
<div class="drawing on-narrow">${trusted(figure.draw(widths.narrow))}</div>
<figcaption>${caption}</figcaption>
${numberTable(`Numbers: ${title}`, table)}
</figure>
`;
}

function legendList(entries: readonly LegendEntry[]): Html {
  return html`<ul class="legend">${entries.map((entry) => html`<li>${swatch(entry)}${entry.label}</li>`)}</ul>`;
}

/** Of our own making: colours are those of the figures. */
function swatch({ colour, symbol, dash, opacity = 1 }: LegendEntry): Html {
  const line =
    dash === undefined
      ? ''
      : `<path d="M0,7H24" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash ?? 'none'}"/>`;
  const shape = {
    circle: `<circle cx="12" cy="7" r="4.5" fill="${colour}"/>`,
    square: `<rect x="8" y="3" width="8" height="8" fill="${colour}"/>`,
    triangle: `<path d="M12,2l5,9h-10z" fill="${colour}"/>`,
    diamond: `<path d="M12,1.5l3.6,5.5l-3.6,5.5l-3.6,-5.5z" fill="${colour}"/>`,
    bar: `<rect x="2" y="2" width="20" height="10" fill="${colour}" fill-opacity="${opacity}"/>`,
    band: `<rect x="0" y="3" width="24" height="8" fill="${colour}"/>`,
  }[symbol];
  return trusted(`<svg width="24" height="14" viewBox="0 0 24 14" aria-hidden="true">${line}${shape}</svg>`);
}

/** The numbers behind a drawing, folded. */
export function numberTable(label: string, { head, rows }: NumberTable): Html {
  const stride = Math.max(1, Math.ceil(rows.length / MOST_ROWS));
  const shown = rows.filter((_, i) => i % stride === 0 || i === rows.length - 1);
  const note =
    stride === 1
      ? null
      : html`<p class="note">Every ${ordinal(stride)} of ${rows.length} rows; all are in summary.json.</p>`;
  return html`<details class="numbers"><summary>Numbers</summary>${note}${dataTable(label, head, shown)}</details>`;
}

/** A table that scrolls inside itself where the screen is narrower; the first column names the rows. */
export function dataTable(label: string, head: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0"><table>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell, i) => (i === 0 ? html`<th scope="row">${textOf(cell)}</th>` : html`<td${trusted(typeof cell === 'string' ? ' class="words"' : '')}>${textOf(cell)}</td>`))}</tr>`)}</tbody>
</table></div>`;
}

const textOf = (cell: Cell): string => (cell === null ? '–' : typeof cell === 'string' ? cell : cell.text);

function ordinal(number: number): string {
  return number === 2 ? 'second' : number === 3 ? 'third' : `${number}th`;
}
