// The report's only script: the theme button, and search trees that can be walked and folded. The page is whole without.
(() => {
  const themes = ['system', 'light', 'dark'];
  const button = document.getElementById('theme');
  if (button) {
    button.hidden = false;
    button.addEventListener('click', () => {
      const now = document.documentElement.dataset.theme ?? 'system';
      const next = themes[(themes.indexOf(now) + 1) % themes.length] ?? 'system';
      if (next === 'system') delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      button.textContent = `Theme: ${next}`;
    });
  }

  for (const figure of document.querySelectorAll('.tree')) {
    const svg = figure.querySelector('svg.tree-drawing');
    const panel = figure.querySelector('.node-panel');
    const data = figure.querySelector('.tree-data');
    if (!svg || !panel || !data) continue;
    walkable(svg, panel, JSON.parse(data.textContent ?? '[]'));
    // A tall tree is first seen at its root, which stands somewhere in the middle.
    const [box, root] = [svg.parentElement, svg.querySelector('.node')];
    if (box && root) {
      box.scrollTop += root.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
    }
  }

  /**
   * @param {Element} svg
   * @param {Element} panel
   * @param {{ id: number }[]} facts
   */
  function walkable(svg, panel, facts) {
    const factsOf = new Map(facts.map((one) => [String(one.id), one]));
    /** @type {Map<string, SVGGElement>} */
    const items = new Map();
    for (const item of svg.querySelectorAll('.node')) {
      items.set(item.getAttribute('data-node') ?? '', /** @type {SVGGElement} */ (item));
    }
    const childrenOf = (/** @type {string} */ id) =>
      [...items].filter(([, item]) => item.getAttribute('data-parent') === id).map(([child]) => child);
    const isFolded = (/** @type {string} */ id) => items.get(id)?.getAttribute('aria-expanded') === 'false';
    const isHidden = (/** @type {string} */ id) => items.get(id)?.style.display === 'none';

    svg.addEventListener('click', (event) => {
      const target = event.target instanceof Element ? event.target.closest('.node') : null;
      const id = target?.getAttribute('data-node');
      if (id === null || id === undefined) return;
      if (target?.getAttribute('aria-selected') === 'true') fold(id, !isFolded(id));
      choose(id);
    });
    svg.addEventListener('keydown', (event) => {
      if (!(event instanceof KeyboardEvent) || !(event.target instanceof Element)) return;
      const id = event.target.closest('.node')?.getAttribute('data-node');
      if (id === null || id === undefined) return;
      const next = nextOf(event.key, id);
      if (next === undefined) return;
      event.preventDefault();
      if (next !== null) choose(next);
    });

    /** The node a key leads to; null: the key did something else; undefined: it means nothing here.
     * @param {string} key
     * @param {string} id */
    function nextOf(key, id) {
      const seen = [...items.keys()].filter((one) => !isHidden(one));
      const at = seen.indexOf(id);
      switch (key) {
        case 'ArrowDown':
          return seen[at + 1] ?? null;
        case 'ArrowUp':
          return seen[at - 1] ?? null;
        case 'ArrowLeft':
          return items.get(id)?.getAttribute('data-parent') ?? null;
        case 'ArrowRight':
          if (isFolded(id)) fold(id, false);
          return childrenOf(id)[0] ?? null;
        case 'Home':
          return seen[0] ?? null;
        case 'End':
          return seen.at(-1) ?? null;
        case 'Enter':
        case ' ':
          fold(id, !isFolded(id));
          return id;
        default:
          return undefined;
      }
    }

    /** @param {string} id */
    function choose(id) {
      for (const [other, item] of items) {
        item.setAttribute('aria-selected', String(other === id));
        item.setAttribute('tabindex', other === id ? '0' : '-1');
      }
      items.get(id)?.focus();
      show(factsOf.get(id));
    }

    /** @param {string} id @param {boolean} folded */
    function fold(id, folded) {
      const item = items.get(id);
      if (!item?.hasAttribute('aria-expanded')) return;
      item.setAttribute('aria-expanded', String(!folded));
      for (const child of childrenOf(id)) setHidden(child, folded);
    }

    /** @param {string} id @param {boolean} hidden */
    function setHidden(id, hidden) {
      const item = items.get(id);
      if (item) item.style.display = hidden ? 'none' : '';
      for (const part of svg.querySelectorAll(`path[data-to="${id}"], .backtrack[data-from="${id}"]`)) {
        if (part instanceof SVGElement) part.style.display = hidden ? 'none' : '';
      }
      // What was folded below stays folded when this is unfolded again.
      for (const child of childrenOf(id)) setHidden(child, hidden || isFolded(id));
    }

    /** @param {any} node */
    function show(node) {
      if (!node) return;
      const number = (/** @type {number} */ value) => value.toFixed(3);
      const ends =
        node.outcome === null
          ? []
          : [
              [
                'ends',
                `${{ right: '✓ right', wrong: '✗ wrong', unknown: '? undecided' }[/** @type {'right'} */ (node.outcome)]}${node.sound ? '' : ', not sound'}`,
              ],
            ];
      const rows = [
        ['node', String(node.id)],
        ['N', String(node.visits)],
        ['Q', number(node.value)],
        ['prior', number(node.prior)],
        ['R', number(node.reward)],
        ['sampled', `${node.multiplicity} ×`],
        ...(node.rollouts > 0 ? [['rollouts', `${node.rolloutsRight} of ${node.rollouts} right`]] : []),
        ...ends,
        ...(node.answer === null ? [] : [['answer', node.answer]]),
      ];
      const text = document.createElement('p');
      text.textContent = node.parent === null ? 'The start: the problem alone.' : node.text.trimEnd();
      const list = document.createElement('dl');
      for (const [name, value] of rows) {
        const pair = document.createElement('div');
        const term = document.createElement('dt');
        const description = document.createElement('dd');
        term.textContent = name ?? '';
        description.textContent = value ?? '';
        pair.append(term, description);
        list.append(pair);
      }
      panel.replaceChildren(text, list);
    }
  }
})();
