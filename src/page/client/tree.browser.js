// The tree viewer: a search at any of its moments. The server tells every moment as a difference from the one before;
// here they are laid over each other up to the chosen one, and the drawing of the latest tree shows what was there then.

import { describeNode, labelOf } from './node-panel.browser.js';

/** @typedef {import('./node-panel.browser.js').State} State */
/** @typedef {import('./node-panel.browser.js').ShortNode} ShortNode */
/** @typedef {{ rounds: number, nodes: number, changed: State[], best: number[], calls: string[], usage: { calls: number, promptTokens: number, completionTokens: number } }} Moment */
/** @typedef {{ finished: boolean, mostRounds: number, moments: Moment[], nodes: ShortNode[], svg: string, left: number, traces: { label: string, backtracks: number }[], trace: number | null }} SearchDocument */

const base = location.pathname.replace(/\/$/, '');
const pollMs = 2000;
const playMs = 900;
const thickestEdge = 9;

const slider = /** @type {HTMLInputElement} */ (document.getElementById('moment'));
const traces = /** @type {HTMLSelectElement} */ (document.getElementById('trace'));
const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const when = part('when');
const state = part('state');
const caption = part('caption');
const drawing = part('drawing');
const panel = part('node');
const play = /** @type {HTMLElement} */ (document.querySelector('[data-step="play"]'));

/** @type {SearchDocument | null} */
let search = null;
/** @type {Map<number, { item: SVGElement, edge: Element | null }>} */
let drawn = new Map();
/** The moment shown, as its place in the list. */
let at = 0;
/** @type {number | null} */
let chosen = null;
/** @type {ReturnType<typeof setInterval> | null} */
let playing = null;

void load();
slider.addEventListener('input', () => {
  stopPlaying();
  go(Number(slider.value));
});
traces.addEventListener('change', () => void load(true));
for (const button of document.querySelectorAll('[data-step]')) {
  button.addEventListener('click', () => step(button.getAttribute('data-step') ?? ''));
}
drawing.addEventListener('click', (event) => {
  const id = nodeIdOf(event.target);
  if (id !== null) choose(id);
});
drawing.addEventListener('keydown', (event) => {
  const id = nodeIdOf(event.target);
  const next = id === null ? null : neighbour(event.key, id);
  if (next === null) return;
  event.preventDefault();
  choose(next);
});

/** Fetches the search, and again while it goes on. Who looks at its last moment goes on with it. */
async function load(again = false) {
  let next = pollMs;
  if (!document.hidden || search === null) {
    try {
      const chosenTrace = traces.value === '' ? '' : `?trace=${traces.value}`;
      const response = await fetch(`${base}/search.json${chosenTrace}`, { signal: AbortSignal.timeout(30_000) });
      if (!response.ok) throw new Error(await response.text());
      show(await response.json(), again);
    } catch (error) {
      state.textContent =
        search === null
          ? String(error instanceof Error ? error.message : error)
          : 'No answer: this is the last that was told.';
      next *= 2;
    }
  }
  if (!again && !(search?.finished && search.traces.length > 0)) setTimeout(() => void load(), next);
}

/** @param {SearchDocument} told @param {boolean} again */
function show(told, again) {
  const isSame = search !== null && told.moments.length === search.moments.length && told.trace === search.trace;
  const wasLast = search === null || at === search.moments.length - 1;
  const isMore = search === null || told.moments.length > search.moments.length;
  search = told;
  offerTraces();
  if (isSame && !again) return tellState();
  const focused = nodeIdOf(document.activeElement);
  // Our own drawing: its texts are escaped, and the page's policy lets no script in it run.
  drawing.innerHTML = told.svg;
  drawn = new Map();
  for (const item of drawing.querySelectorAll('.node')) {
    const id = Number(item.getAttribute('data-node'));
    drawn.set(id, {
      item: /** @type {SVGElement} */ (item),
      edge: drawing.querySelector(`path.edge[data-to="${id}"]`),
    });
  }
  slider.max = String(told.moments.length - 1);
  slider.disabled = told.moments.length < 2;
  go(wasLast && isMore ? told.moments.length - 1 : at);
  if (focused !== null) drawn.get(focused)?.item.focus();
}

function offerTraces() {
  if (search === null || traces.options.length === search.traces.length + 1) return;
  for (const [i, { label, backtracks }] of search.traces.entries()) {
    const option = document.createElement('option');
    option.value = String(i);
    option.textContent = `${label}, ${backtracks} ${backtracks === 1 ? 'backtrack' : 'backtracks'}`;
    traces.append(option);
  }
  traces.disabled = search.traces.length === 0;
}

/** All states at a moment. @param {number} moment */
function statesAt(moment) {
  /** @type {Map<number, State>} */
  const states = new Map();
  for (const { changed } of search?.moments.slice(0, moment + 1) ?? []) {
    for (const one of changed) states.set(one.id, one);
  }
  return states;
}

/** @param {number} moment */
function go(moment) {
  if (search === null) return;
  at = Math.max(0, Math.min(moment, search.moments.length - 1));
  const now = /** @type {Moment} */ (search.moments[at]);
  const states = statesAt(at);
  const most = Math.max(1, ...[...states.values()].filter(({ id }) => id !== 0).map(({ visits }) => visits));
  const best = new Set(now.best);
  const firstNew = at === 0 ? 0 : (search.moments[at - 1]?.nodes ?? 0);
  for (const [id, { item, edge }] of drawn) {
    const one = states.get(id);
    const isThere = one !== undefined;
    item.classList.toggle('unborn', !isThere);
    item.classList.toggle('new', isThere && at > 0 && search.moments.length > 1 && id >= firstNew);
    for (const other of drawing.querySelectorAll(`path[data-to="${id}"]`)) other.classList.toggle('unborn', !isThere);
    if (one === undefined) continue;
    edge?.setAttribute('stroke-width', String(Math.max(1, (one.visits / most) * thickestEdge)));
    edge?.classList.toggle('best-edge', best.has(id));
    const tint = item.querySelectorAll('circle')[1];
    if (one.correct !== false) tint?.setAttribute('fill-opacity', String(one.value));
    item.setAttribute('aria-label', labelOf(one, search.nodes[id]?.text ?? ''));
  }
  for (const back of drawing.querySelectorAll('.backtrack')) {
    const ends = ['data-from', 'data-to'].map((name) => Number(back.getAttribute(name)));
    back.classList.toggle(
      'unborn',
      ends.some((id) => !states.has(id)),
    );
  }
  slider.value = String(at);
  slider.setAttribute('aria-valuetext', `after ${now.rounds} rounds`);
  when.textContent = `round ${now.rounds} of ${search.moments.at(-1)?.rounds}`;
  const spent = search.moments.slice(0, at + 1).reduce((sum, { usage }) => sum + usage.completionTokens, 0);
  caption.textContent =
    `${now.nodes} nodes, ${spent.toLocaleString('en')} tokens sampled by then. Edges are as wide as visits, green on the best path; nodes are filled by value; ` +
    `the last round's have a thick ring.${search.left > 0 ? ` The ${search.left} least visited are not drawn.` : ''}`;
  if (search.trace !== null)
    caption.textContent += ' The blue path is the training text, with a number at each attempt it goes back from.';
  tellState();
  if (chosen !== null) void describe(chosen);
}

function tellState() {
  if (search === null) return;
  const { finished, moments, mostRounds } = search;
  const last = moments.at(-1)?.rounds ?? 0;
  const gone =
    moments.length === 1 && last > 0 ? ' Its rounds are no longer stored, so only its end can be shown.' : '';
  const said = finished
    ? `The search is finished.${gone}`
    : `${last} of at most ${mostRounds} rounds are stored; more are shown as they come.`;
  if (state.textContent !== said) state.textContent = said;
}

/** @param {string} which */
function step(which) {
  if (which === 'play') return playing === null ? startPlaying() : stopPlaying();
  stopPlaying();
  const last = (search?.moments.length ?? 1) - 1;
  go({ first: 0, back: at - 1, on: at + 1, last }[which] ?? at);
}

function startPlaying() {
  if (search === null) return;
  if (at === search.moments.length - 1) go(0);
  play.textContent = 'Stop';
  play.setAttribute('aria-pressed', 'true');
  playing = setInterval(() => {
    go(at + 1);
    if (at >= (search?.moments.length ?? 1) - 1) stopPlaying();
  }, playMs);
}

function stopPlaying() {
  if (playing !== null) clearInterval(playing);
  playing = null;
  play.textContent = 'Play';
  play.setAttribute('aria-pressed', 'false');
}

/** @param {EventTarget | null} target */
function nodeIdOf(target) {
  const id = target instanceof Element ? target.closest('.node')?.getAttribute('data-node') : null;
  return id === null || id === undefined ? null : Number(id);
}

/** Where a key leads from a node; null: nowhere. @param {string} key @param {number} id */
function neighbour(key, id) {
  const seen = [...drawn.keys()].filter((one) => !drawn.get(one)?.item.classList.contains('unborn'));
  const parentOf = (/** @type {number} */ one) => search?.nodes[one]?.parent ?? null;
  const i = seen.indexOf(id);
  switch (key) {
    case 'ArrowDown':
      return seen[i + 1] ?? null;
    case 'ArrowUp':
      return seen[i - 1] ?? null;
    case 'ArrowLeft':
      return parentOf(id);
    case 'ArrowRight':
      return seen.find((one) => parentOf(one) === id) ?? null;
    case 'Home':
      return seen[0] ?? null;
    case 'End':
      return seen.at(-1) ?? null;
    case 'Enter':
    case ' ':
      return id;
    default:
      return null;
  }
}

/** @param {number} id */
function choose(id) {
  chosen = id;
  for (const [other, { item }] of drawn) {
    item.setAttribute('aria-selected', String(other === id));
    item.setAttribute('tabindex', other === id ? '0' : '-1');
  }
  drawn.get(id)?.item.focus();
  void describe(id);
}

/** The chosen node at the moment shown. @param {number} id */
async function describe(id) {
  const node = search?.nodes[id];
  if (node !== undefined) await describeNode(panel, base, node, statesAt(at).get(id));
}
