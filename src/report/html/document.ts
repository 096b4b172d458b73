import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { themeVariables } from '../figures/colours.ts';
import { type Figure, figuresOf } from '../figures/index.ts';
import { problemNotes } from '../problem-notes.ts';
import { coverage } from '../tables.ts';
import { claim, verdict } from '../verdict.ts';
import { type Html, html, trusted } from './escape.ts';
import { figureBlock } from './figure-block.ts';
import { mathsStyles, withMaths } from './maths.ts';
import { provenanceSection } from './provenance.ts';
import type { ReportData } from './report-data.ts';
import { scoreTable } from './score-table.ts';
import { transcriptsSection } from './transcripts.ts';
import { treesSection } from './tree-section.ts';

const asset = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');

/**
 * `report.html`: one file that needs nothing else, opens offline and runs no script but its own. The same data give the
 * same bytes.
 */
export function renderPage(data: ReportData): string {
  const { summary } = data;
  const body = html`${header(data)}
<main id="top">
${opening(data)}
${figureSections(data)}
${treesSection(data.trees, withMaths)}
${transcriptsSection(data.transcripts, withMaths)}
${provenanceSection(summary, data.config)}
</main>
`.markup;
  const script = asset('page.browser.js');
  const styles = `${themeStyles()}\n${asset('page.css')}\n${mathsStyles(body)}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${summary.run}: Astroflow report</title>
<link rel="icon" href="data:,">
<style>${trusted(styles)}</style>
</head>
<body>
${trusted(body)}
<script>${trusted(script)}</script>
</body>
</html>
`.markup;
}

/** Nothing is loaded and nothing is sent; the one script is known by its hash, so that no other can run. */
function contentPolicy(script: string): string {
  const hash = createHash('sha256').update(script).digest('base64');
  return [
    "default-src 'none'",
    `script-src 'sha256-${hash}'`,
    "style-src 'unsafe-inline'",
    'font-src data:',
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function themeStyles(): string {
  const [light, dark] = [themeVariables('light'), themeVariables('dark')];
  return (
    `:root { ${light} color-scheme: light; }\n` +
    `@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${dark} color-scheme: dark; } }\n` +
    `:root[data-theme="dark"] { ${dark} color-scheme: dark; }`
  );
}

const chapters: readonly {
  id: string;
  title: string;
  holds: (figure: Figure) => boolean;
  table?: (data: ReportData) => Html;
}[] = [
  {
    id: 'results',
    title: 'Did it work?',
    holds: ({ id }) => id === 'scores' || id === 'differences',
    table: ({ summary }) => scoreTable(summary),
  },
  { id: 'data', title: 'From problems to rows', holds: ({ id }) => id === 'funnel' },
  { id: 'learning', title: 'Reinforcement learning', holds: ({ id }) => id.startsWith('rl-') },
  { id: 'budget', title: 'Accuracy against tokens', holds: ({ id }) => id.startsWith('tokens-') },
  { id: 'cost', title: 'What it cost', holds: ({ id }) => id.startsWith('cost-') },
  { id: 'problems', title: 'Problem by problem', holds: ({ id }) => id.startsWith('matrix-') },
  { id: 'behaviour', title: 'How they search', holds: ({ id }) => id.startsWith('behaviour-') },
];

function figureSections(data: ReportData): Html[] {
  const figures = figuresOf(data.summary);
  return chapters.flatMap(({ id, title, holds, table }) => {
    const own = figures.filter(holds);
    if (own.length === 0) return [];
    return [
      html`<section id="${id}"><h2>${title}</h2>
${table?.(data) ?? null}
<div class="figures">${own.map(figureBlock)}</div>
</section>
`,
    ];
  });
}

function header({ summary, trees, transcripts }: ReportData): Html {
  const figures = figuresOf(summary);
  const links = [
    ...chapters.filter(({ holds }) => figures.some(holds)),
    ...(trees.length > 0 ? [{ id: 'trees', title: 'Trees' }] : []),
    ...(transcripts.length > 0 ? [{ id: 'transcripts', title: 'Transcripts' }] : []),
    { id: 'provenance', title: 'Provenance' },
  ];
  return html`<header><a class="skip" href="#top">Skip to the report</a>
<div class="bar"><p class="run">Astroflow <b>${summary.run}</b></p><button type="button" id="theme" hidden>Theme: system</button></div>
<nav aria-label="Chapters">${links.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav>
</header>`;
}

function opening({ summary }: ReportData): Html {
  const said = claim(summary);
  return html`<h1>${verdict(summary)}</h1>
${said !== null && html`<p class="claim">${said}</p>`}
${problemNotes(summary).map((note) => html`<p>${note}</p>`)}
<p class="note">${coverage(summary)}</p>
`;
}
