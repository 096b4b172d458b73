// Parts of the page that change: fetched again every so often, and replaced where they are no longer what they were.
// The server made and escaped them; no script in them could run (the page's content policy).

const usualMs = 2000;
const fresh = document.getElementById('fresh');

for (const part of document.querySelectorAll('[data-live]')) {
  if (part instanceof HTMLElement) keepFresh(part);
}

/** @param {HTMLElement} part */
function keepFresh(part) {
  let shown = '';
  let failed = false;
  const everyMs = Number(part.dataset.every ?? usualMs);

  async function look() {
    // Nobody looks: nothing is asked for.
    if (!document.hidden) {
      try {
        const response = await fetch(part.dataset.live ?? '', { signal: AbortSignal.timeout(30_000) });
        if (!response.ok) throw new Error(await response.text());
        const text = partOf(await response.text(), part.dataset.part);
        if (text !== shown && !isInUse(part)) replace(part, text);
        if (!isInUse(part)) shown = text;
        if (failed || fresh?.textContent === '') tell('live');
        failed = false;
      } catch {
        failed = true;
        tell('no answer: this is the last that was told');
      }
    }
    setTimeout(look, everyMs);
  }
  void look();

  part.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[data-into]') : null;
    if (!(link instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    part.dataset.live = link.pathname + link.search;
    shown = '';
    link.blur();
    void fetch(part.dataset.live)
      .then((response) => response.text())
      .then((text) => replace(part, text));
  });
}

/** The whole answer, or the part of it that has the same name. @param {string} text @param {string | undefined} name */
function partOf(text, name) {
  if (name === undefined) return text;
  const page = new DOMParser().parseFromString(text, 'text/html');
  return page.querySelector(`[data-part="${name}"]`)?.innerHTML ?? '';
}

/** A person reads with the keyboard in it, or has marked a stretch of it. @param {HTMLElement} part */
function isInUse(part) {
  const selection = document.getSelection();
  return (
    part.contains(document.activeElement) || (selection?.isCollapsed === false && part.contains(selection.anchorNode))
  );
}

/** What was unfolded stays so. @param {HTMLElement} part @param {string} text */
function replace(part, text) {
  const open = [...part.querySelectorAll('details')].map((details) => details.open);
  part.innerHTML = text;
  for (const [i, details] of [...part.querySelectorAll('details')].entries()) details.open = open[i] ?? false;
}

/** @param {string} text */
function tell(text) {
  if (fresh && fresh.textContent !== text) fresh.textContent = text;
}
