import { countCell } from '../figures/numbers.ts';
import type { Summary } from '../summary-schema.ts';
import { type Html, html } from './escape.ts';
import { dataTable } from './figure-block.ts';

/** What the run was: versions, seed, problem sets, protocols, where its artifacts lie, and its configuration. */
export function provenanceSection(summary: Summary, config: string | null): Html {
  return html`<section id="provenance"><h2>Where it comes from</h2>
${definitions('Run', { run: summary.run, seed: String(summary.seed), ...summary.versions })}
${summary.problemSets.length > 0 && problemSets(summary)}
${summary.protocols.length > 0 && protocols(summary)}
${definitions('Artifacts, relative to the store', summary.artifacts)}
${config !== null && html`<details class="numbers"><summary>Configuration, defaults written out</summary><pre class="scroll" tabindex="0" role="region" aria-label="Configuration">${config}</pre></details>`}
</section>
`;
}

function definitions(title: string, entries: Record<string, string>): Html {
  return html`<h3>${title}</h3><dl class="facts">${Object.entries(entries).map(([name, value]) => html`<dt>${name}</dt><dd><code>${value}</code></dd>`)}</dl>`;
}

function problemSets(summary: Summary): Html {
  const rows = summary.problemSets.map(({ set, use, problems, sha256, familiesInTraining }) => [
    set,
    use,
    countCell(problems),
    countCell(familiesInTraining),
    sha256.slice(0, 16),
  ]);
  const head = ['set', 'use', 'problems', 'of a family that training saw', 'SHA-256'];
  return html`<h3>Problem sets</h3>${dataTable('Problem sets', head, rows)}`;
}

/** Scores of one protocol were asked and graded alike: only they compare checkpoints and nothing else. */
function protocols(summary: Summary): Html {
  const rows = summary.protocols.map(({ hash, checkpoints, protocol }) => [
    hash,
    protocol.benchmark,
    checkpoints.join(', '),
    `${protocol.decoding.temperature}`,
    countCell(protocol.decoding.maxTokens),
    [protocol.engine.sampler, protocol.engine.version].filter((part) => part !== null).join(' '),
    protocol.grader === null ? null : `version ${protocol.grader}`,
  ]);
  const head = ['protocol', 'benchmark', 'checkpoints', 'temperature', 'most tokens', 'engine', 'grader'];
  return html`<h3>How checkpoints were asked and graded</h3>${dataTable('Protocols', head, rows)}`;
}
