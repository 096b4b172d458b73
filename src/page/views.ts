import { readFile } from 'node:fs/promises';
import type { Plan } from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import { getTask } from '../core/tasks/index.ts';
import { themeVariables } from '../report/figures/colours.ts';
import { integer } from '../report/format.ts';
import { type Html, html } from '../report/html/escape.ts';
import type { ListedRun } from '../runs/listed-run.ts';
import { problemTitle, type SearchedProblem } from '../runs/problems.ts';
import {
  type AttentionStatus,
  type BooksStatus,
  type RunStatus,
  type StageStatus,
  stageLabel,
} from '../runs/status.ts';

/** The report's style sheet, so that figures look alike, and what only the live page has. */
export async function styleSheet(): Promise<string> {
  const [light, dark] = [themeVariables('light'), themeVariables('dark')];
  const themes =
    `:root { ${light} color-scheme: light; }\n` +
    `@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${dark} color-scheme: dark; } }\n` +
    `:root[data-theme="dark"] { ${dark} color-scheme: dark; }\n`;
  const report = await readFile(new URL('../report/html/page.css', import.meta.url), 'utf8');
  return themes + report + (await readFile(new URL('client/live.css', import.meta.url), 'utf8'));
}

export function homePage(runs: readonly ListedRun[]): Html {
  return page({
    title: 'Astroflow runs',
    script: 'live.browser.js',
    crumbs: [],
    body: html`<h1>Runs</h1>
<div data-live="/" data-part="runs">${runsTable(runs)}</div>`,
  });
}

export function runPage(status: RunStatus): Html {
  const { run } = status;
  return page({
    title: `${run} · Astroflow`,
    script: 'live.browser.js',
    crumbs: [{ name: 'Runs', href: '/' }],
    body: html`<h1>${run}</h1>
<div role="alert" data-live="/runs/${run}/stages" data-part="asks" data-every="4000">${asks(status)}</div>
<section aria-label="Stages" data-live="/runs/${run}/stages" data-part="stages">${stagesTable(status)}</section>
<section id="figures"><h2>Figures</h2><div data-live="/runs/${run}/figures" data-every="6000"><p class="note">Reading …</p></div></section>
<section id="problems"><h2>Search trees</h2><div data-live="/runs/${run}/problems" data-every="6000"><p class="note">Reading …</p></div></section>`,
  });
}

export function problemPage({ run, search }: Plan, problem: Problem, number: number): Html {
  const title = problemTitle(search, problem);
  return page({
    title: `${title} · ${run}`,
    script: 'tree.browser.js',
    crumbs: [
      { name: 'Runs', href: '/' },
      { name: run, href: `/runs/${run}/` },
    ],
    body: html`<h1>Problem ${number}</h1>
<p class="problem">${getTask(search.task).statement(problem)}</p>
<div id="viewer" class="viewer">
<div class="scrubber" role="group" aria-label="Time">
<button type="button" data-step="first" aria-label="To the beginning">⇤</button>
<button type="button" data-step="back" aria-label="One round back">←</button>
<button type="button" data-step="play" aria-pressed="false">Play</button>
<button type="button" data-step="on" aria-label="One round on">→</button>
<button type="button" data-step="last" aria-label="To the last round">⇥</button>
<input type="range" id="moment" min="0" max="0" value="0" step="1" aria-label="Round">
<output id="when" for="moment">Reading …</output>
</div>
<p class="controls"><label>Trace <select id="trace"><option value="">none</option></select></label>
<span id="state" role="status" class="note"></span></p>
<div class="tree-and-node">
<figure class="figure tree"><div class="scroll drawing" id="drawing"></div>
<figcaption id="caption"></figcaption></figure>
<aside class="node-panel" id="node" aria-live="polite" aria-label="Chosen node"><p class="note">Click a node, or reach the tree with Tab and move with the arrow keys.</p></aside>
</div>
</div>`,
  });
}

function page(options: { title: string; script: string; crumbs: { name: string; href: string }[]; body: Html }): Html {
  const { title, script, crumbs, body } = options;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/assets/page.css">
<script type="module" src="/assets/theme.browser.js"></script><script type="module" src="/assets/${script}"></script></head>
<body class="live"><header><a class="skip" href="#main">Skip to the content</a>
<div class="bar"><nav aria-label="Where you are">${crumbs.map(({ name, href }) => html`<a href="${href}">${name}</a>`)}<span class="run">Astroflow</span></nav>
<span class="right"><span id="fresh" class="note" role="status"></span><button type="button" id="theme" hidden>Theme: system</button></span></div></header>
<main id="main">${body}</main></body></html>
`;
}

function runsTable(runs: readonly ListedRun[]): Html {
  if (runs.length === 0)
    return html`<p>There are no runs yet. <code>npx astroflow start configs/demo.json</code> begins one.</p>`;
  return html`<div class="scroll" role="region" aria-label="Runs" tabindex="0"><table>
<thead><tr><th scope="col">run</th><th scope="col" class="words">state</th><th scope="col" class="words">stage</th><th scope="col" class="words">started</th><th scope="col" class="words">attention</th></tr></thead>
<tbody>${runs.map(
    ({ run, workflowId, state, stage, startedAt, attention }) => html`<tr>
<th scope="row">${workflowId === `astro/${run}` ? html`<a href="/runs/${run}/">${run}</a>` : workflowId}</th>
<td class="words">${state}</td><td class="words">${stage}</td><td class="words">${startedAt === null ? '' : shortTime(startedAt)}</td>
<td class="words attention">${attention.map((one) => html`<span>! ${one}</span> `)}</td></tr>`,
  )}</tbody></table></div>`;
}

/** What changes while a run goes on. What it asks stands apart: it is read aloud when it changes, and the bars are not. */
export function stagesFragment(status: RunStatus): Html {
  return html`<div data-part="asks">${asks(status)}</div><div data-part="stages">${stagesTable(status)}</div>`;
}

function asks({ run, paused, attention }: RunStatus): Html {
  return html`${paused && html`<div class="asks"><p><strong>Paused.</strong> To go on: <code>npx astroflow resume ${run}</code></p></div>`}${attention.map(question)}`;
}

/** Its state, a bar for each stage, and its cost. */
function stagesTable(status: RunStatus): Html {
  const { stages, books } = status;
  return html`<p class="facts-line">${stateLine(status)}</p>
<div class="scroll" role="region" aria-label="Stages" tabindex="0"><table class="stages">
<thead><tr><th scope="col">stage</th><th scope="col" class="words">state</th><th scope="col" class="words">progress</th><th scope="col">done</th><th scope="col">rate</th><th scope="col">time</th><th scope="col">left</th><th scope="col">tokens</th><th scope="col" class="words">last</th></tr></thead>
<tbody>${stages.map(stageRow)}</tbody></table></div>
${books !== undefined && booksLine(books)}`;
}

function stateLine({ status, source, startedAt, endedAt, workflowId }: RunStatus): string {
  const parts = [
    `${workflowId}: ${status ?? 'not on a server'}`,
    ...(startedAt === null ? [] : [`started ${shortTime(startedAt)}`]),
    ...(endedAt === null ? [] : [`ended ${shortTime(endedAt)}`]),
    ...(source === 'workflow'
      ? []
      : [status === 'running' ? 'no worker answers, so this is what is stored' : 'as it is stored']),
  ];
  return parts.join(' · ');
}

function question({ stage, what, why, since, answers, refused }: AttentionStatus): Html {
  return html`<div class="asks"><p><strong>Needs attention${since !== undefined && ` since ${shortTime(since)}`}:</strong> ${stage !== undefined && `${stage}, `}${what}</p>
${why !== undefined && html`<p class="why">${why}</p>`}
${answers.length > 0 && html`<p>Type one of:</p><ul>${answers.map(({ command, effect }) => html`<li><code>${command}</code> ${effect}</li>`)}</ul>`}
${refused.map(({ action, reason }) => html`<p class="note">Not possible: ${action}, ${reason}.</p>`)}</div>`;
}

function stageRow(stage: StageStatus): Html {
  const { state, done, total, unit, share, elapsedSeconds, secondsLeft, perSecond, tokensPerSecond, tokens, note } =
    stage;
  const percent = Math.floor(share * 100);
  const rates = [
    ...(perSecond === null
      ? []
      : [perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(perSecond * 60).toFixed(1)}/min`]),
    ...(tokensPerSecond === null ? [] : [`${integer(Math.round(tokensPerSecond))} tok/s`]),
  ];
  const label = stageLabel(stage);
  return html`<tr class="stage ${state}"><th scope="row">${label}</th><td class="words"><span class="state">${state}</span></td>
<td class="words"><progress max="100" value="${percent}" aria-label="${label}">${percent} %</progress> ${percent} %</td>
<td>${state === 'waiting' ? '' : `${integer(done)} of ${integer(total)} ${unit}`}</td><td>${rates.join(', ')}</td>
<td>${duration(elapsedSeconds)}</td><td>${duration(secondsLeft)}</td><td>${tokens > 0 ? integer(tokens) : ''}</td><td class="words">${note ?? ''}</td></tr>`;
}

function booksLine({ creditedTokens, wastedTokens, openTokens, estimated, wastedCalls }: BooksStatus): Html {
  const why = Object.entries(wastedCalls).map(([reason, calls]) => `${calls} ${reason}`);
  return html`<p class="note">Tokens of model calls: ${integer(creditedTokens)} credited, ${estimated ? 'at least ' : ''}${integer(wastedTokens)} wasted${why.length > 0 && ` (calls: ${why.join(', ')})`}, ${openTokens === null ? 'open unknown' : `${integer(openTokens)} open`}.</p>`;
}

/** A page of a run's problems, each with its tree. */
export function problemsFragment(
  run: string,
  problems: readonly SearchedProblem[],
  { from, count, total }: { from: number; count: number; total: number },
): Html {
  const to = from + problems.length;
  const link = (first: number, name: string) =>
    html`<a data-into href="/runs/${run}/problems?from=${first}">${name}</a> `;
  return html`<p class="note">Problems ${from} to ${Math.max(from, to - 1)} of ${total}. ${from > 0 && link(Math.max(0, from - count), 'earlier')}${to < total && link(to, 'later')}</p>
<div class="scroll" role="region" aria-label="Problems" tabindex="0"><table>
<thead><tr><th scope="col">row</th><th scope="col" class="words">problem</th><th scope="col" class="words">search</th></tr></thead>
<tbody>${problems.map(
    ({ number, slug, title, state, rounds, solved }) => html`<tr><th scope="row">${number}</th>
<td class="words">${state === 'waiting' || state === 'given up' ? title : html`<a href="/runs/${run}/problems/${slug}">${title}</a>`}</td>
<td class="words">${state}${rounds !== null && rounds > 0 && `, ${rounds} rounds`}${solved !== null && (solved ? ', ✓ solved' : ', ✗ unsolved')}</td></tr>`,
  )}</tbody></table></div>`;
}

const shortTime = (iso: string) => iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');

function duration(seconds: number | null): string {
  if (seconds === null) return '';
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
