import type { Move } from '../../core/moves.ts';
import { trimEndOf } from '../../core/trim-end.ts';
import { type Html, html } from './escape.ts';

/** Characters of one text in the page; what is longer is cut, and says so. */
export const MOST_CHARACTERS = 6000;

const looks = {
  forward: { mark: '→', label: 'goes on' },
  reflect: { mark: '?', label: 'reflects' },
  backtrack: { mark: '↩', label: 'goes back' },
  answer: { mark: '■', label: 'answers' },
} as const;

/** A text with its moves marked: by a sign and a word each, and by colour. `write` makes a stretch of text HTML. */
export function movesBlock(moves: readonly Move[], write: (text: string) => Html): Html {
  let left = MOST_CHARACTERS;
  let backtracks = 0;
  const shown: Html[] = [];
  for (const { kind, text } of moves) {
    if (left <= 0) break;
    const { mark, label } = looks[kind];
    const number = kind === 'backtrack' ? ++backtracks : null;
    const part = trimEndOf(text.slice(0, left), '\n');
    left -= text.length;
    shown.push(
      html`<li class="move ${kind}"><span class="mark"><span aria-hidden="true">${mark}${number === null ? '' : ` ${number}`}</span><span class="unseen">${label}${number === null ? '' : `, backtrack ${number}`}: </span></span><span class="said">${write(part)}</span></li>`,
    );
  }
  const total = moves.reduce((sum, { text }) => sum + text.length, 0);
  const cut = total > MOST_CHARACTERS && html`<p class="note">… and ${total - MOST_CHARACTERS} more characters.</p>`;
  return html`<ol class="moves">${shown}</ol>${cut}`;
}

/** What the marks mean. */
export function movesLegend(): Html {
  return html`<ul class="legend">${Object.entries(looks).map(
    ([kind, { mark, label }]) =>
      html`<li><span class="move ${kind}"><span class="mark" aria-hidden="true">${mark}</span></span>${label}</li>`,
  )}</ul>`;
}
