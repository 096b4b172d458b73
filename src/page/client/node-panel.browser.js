// What a person learns of a node: its numbers at the moment shown, its step, its rollouts, and the calls behind it.

/** @typedef {{ id: number, visits: number, value: number, prior: number, multiplicity: number, reward: number, rollouts: number, correct: boolean | 'unknown' | null }} State */
/** @typedef {{ id: number, parent: number | null, depth: number, text: string, answer: string | null, tokens: number }} ShortNode */
/** @typedef {{ text: string, round: number | null, rollouts: { text: string, correct: boolean | 'unknown', tokens: number }[], calls: string[], usage: { promptTokens: number, completionTokens: number } }} WholeNode */

/** A node in a line, for labels that are read aloud. @param {State} state @param {string} text */
export function labelOf({ visits, value, prior, correct }, text) {
  const step = text.replace(/\s+/g, ' ').trim().slice(0, 80) || 'start';
  const end = correct === null ? '' : `, ends ${verdictOf(correct)}`;
  return `${step}: ${visits} visits, Q ${value.toFixed(2)}, prior ${prior.toFixed(2)}${end}`;
}

/**
 * Numbers at once; the whole text, rollouts and calls as soon as they are fetched from below `base`.
 * @param {HTMLElement} panel
 * @param {string} base
 * @param {ShortNode} node
 * @param {State | undefined} state undefined: it was not there yet
 */
export async function describeNode(panel, base, node, state) {
  const { id } = node;
  const title = element('h2', `Node ${id}`);
  if (state === undefined) {
    panel.replaceChildren(title, element('p', 'It was not there yet at this moment.', 'note'));
    return;
  }
  const step = element('p', stepOf(node, node.text), 'step');
  const before = panel.querySelector(`[data-of="${id}"]`);
  const isKnown = before?.getAttribute('data-rollouts') === String(state.rollouts);
  const more = before ?? element('section', '');
  more.setAttribute('data-of', String(id));
  panel.replaceChildren(title, step, factsOf(state, node), more);
  if (isKnown) return;
  try {
    const response = await fetch(`${base}/nodes/${id}`, { signal: AbortSignal.timeout(30_000) });
    if (!response.ok) throw new Error(await response.text());
    /** @type {WholeNode} */
    const whole = await response.json();
    step.textContent = stepOf(node, whole.text);
    more.replaceChildren(...rollouts(whole), ...calls(whole));
    more.setAttribute('data-rollouts', String(state.rollouts));
  } catch (error) {
    more.replaceChildren(element('p', error instanceof Error ? error.message : String(error), 'note'));
  }
}

/** @param {ShortNode} node @param {string} text */
function stepOf({ parent }, text) {
  return parent === null ? 'The start: the problem alone.' : text.trimEnd();
}

/** @param {State} state @param {ShortNode} node */
function factsOf({ visits, value, prior, reward, multiplicity, correct }, { tokens, answer }) {
  const facts = document.createElement('dl');
  const pairs = [
    ['N', String(visits)],
    ['Q', value.toFixed(3)],
    ['prior', prior.toFixed(3)],
    ['R', reward.toFixed(3)],
    ['sampled', `${multiplicity} ×`],
    ['tokens', String(tokens)],
    ...(correct === null ? [] : [['ends', verdictOf(correct)]]),
    ...(answer === null ? [] : [['answer', answer]]),
  ];
  for (const [name, value] of pairs) {
    const pair = document.createElement('div');
    pair.append(element('dt', name ?? ''), element('dd', value ?? ''));
    facts.append(pair);
  }
  return facts;
}

/** @param {WholeNode} node */
function rollouts({ rollouts }) {
  if (rollouts.length === 0) return [];
  const right = rollouts.filter(({ correct }) => correct === true).length;
  /** @type {Map<string, number>} */
  const times = new Map();
  for (const { text, correct, tokens } of rollouts) {
    const mark = correct === true ? '✓' : correct === false ? '✗' : '?';
    const line = `${mark} ${text.trim()} (${tokens} tokens)`;
    times.set(line, (times.get(line) ?? 0) + 1);
  }
  const items = document.createElement('ul');
  for (const [line, count] of [...times].sort((a, b) => b[1] - a[1])) items.append(element('li', `${count} × ${line}`));
  return [element('h3', `Rollouts: ${right} of ${rollouts.length} right`), items];
}

/** @param {WholeNode} node */
function calls({ calls, round, usage }) {
  if (calls.length === 0) return [];
  const items = document.createElement('ul');
  for (const call of calls) {
    const item = document.createElement('li');
    item.append(element('code', call));
    items.append(item);
  }
  const whose = round === null ? 'of all rounds' : `of round ${round}, which made this node and others`;
  const [asked, sampled] = [usage.promptTokens, usage.completionTokens].map((tokens) => tokens.toLocaleString('en'));
  const cost = `${calls.length} calls ${whose}: ${asked} tokens of prompts, ${sampled} sampled.`;
  return [element('h3', 'Calls behind it'), element('p', cost, 'note'), items];
}

/** @param {boolean | 'unknown'} correct */
function verdictOf(correct) {
  return correct === 'unknown' ? 'undecided' : correct ? 'right' : 'wrong';
}

/** @param {string} name @param {string} text @param {string} [className] */
function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className !== undefined) made.className = className;
  return made;
}
