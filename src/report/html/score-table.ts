import { lookOf } from '../figures/colours.ts';
import { countCell, fixedCell, percentCell } from '../figures/numbers.ts';
import { percent, percentInterval } from '../format.ts';
import type { Score, Summary } from '../summary-schema.ts';
import { benchmarksOf, sampleSize, scoresOf } from '../tables.ts';
import { type Html, html } from './escape.ts';
import { dataTable } from './figure-block.ts';

/** Checkpoint × benchmark, each score with its interval; below it what several samples come to. */
export function scoreTable(summary: Summary): Html {
  const benchmarks = benchmarksOf(summary);
  const checkpoints = [...new Set(summary.scores.map(({ checkpoint }) => checkpoint))];
  const find = (checkpoint: string, benchmark: string) =>
    summary.scores.find((score) => score.checkpoint === checkpoint && score.benchmark === benchmark);
  return html`<div class="scroll" role="region" aria-label="Scores" tabindex="0"><table class="scores">
<thead><tr><th scope="col">checkpoint</th>${benchmarks.map((name) => html`<th scope="col">${name}<small>${sampleSize(scoresOf(summary, name))}</small></th>`)}<th scope="col">tokens<small>an answer</small></th><th scope="col">goes back<small>times an answer</small></th><th scope="col">cut off</th></tr></thead>
<tbody>${checkpoints.map((checkpoint) => {
    const scores = benchmarks.map((benchmark) => find(checkpoint, benchmark));
    const first = scores.find((score) => score !== undefined);
    return html`<tr><th scope="row"><span class="dot" style="background:${lookOf(checkpoint).colour}"></span>${checkpoint}</th>${scores.map(scoreCell)}<td>${first?.tokensPerAnswer.toFixed(0) ?? '–'}</td><td>${first?.backtracksPerAnswer.toFixed(1) ?? '–'}</td><td>${first === undefined ? '–' : percent(first.truncated)}</td></tr>`;
  })}</tbody></table></div>
<p class="note">pass@1 and its 95 % interval. The last three columns are of the first benchmark.</p>
<details class="numbers"><summary>Several samples: pass@k and maj@k</summary>${benchmarks.map((name) => severalSamples(name, scoresOf(summary, name)))}</details>
${summary.scores.some(({ counts }) => counts !== null) && html`<details class="numbers"><summary>What became of every sample</summary>${fates(summary.scores)}</details>`}
`;
}

/** The denominators: nothing that was asked for disappears. */
function fates(scores: readonly Score[]): Html {
  const head = [
    'checkpoint',
    'benchmark',
    'attempted',
    'right',
    'wrong',
    'undecided',
    'no answer',
    'cut off',
    'errored',
    'quarantined problems',
    'pass@1 without errors',
  ];
  const rows = scores.flatMap(({ checkpoint, benchmark, counts, passAt1WithoutErrors }) =>
    counts === null
      ? []
      : [
          [
            checkpoint,
            benchmark,
            ...[
              counts.attempted,
              counts.right,
              counts.wrong,
              counts.undecided,
              counts.unanswered,
              counts.truncated,
              counts.errored,
              counts.quarantined,
            ].map(countCell),
            percentCell(passAt1WithoutErrors?.value),
          ],
        ],
  );
  return html`${dataTable('What became of every sample', head, rows)}<p class="note">pass@1 counts all that is not right as wrong: cut off, without an answer, undecided or errored.</p>`;
}

function scoreCell(score: Score | undefined): Html {
  if (score === undefined) return html`<td>–</td>`;
  const { value, low, high } = score.passAt1;
  return html`<td><b>${percent(value)}</b> <small>${percentInterval(low, high)}</small></td>`;
}

function severalSamples(benchmark: string, scores: readonly Score[]): Html {
  const ks = (scores[0]?.passAtK ?? []).map(({ k }) => k);
  const at = (points: { k: number; value: number }[], k: number) =>
    percentCell(points.find((one) => one.k === k)?.value);
  const head = ['checkpoint', ...ks.map((k) => `pass@${k}`), ...ks.map((k) => `maj@${k}`), 'tokens per right answer'];
  const rows = scores.map((score) => [
    score.checkpoint,
    ...ks.map((k) => at(score.passAtK, k)),
    ...ks.map((k) => at(score.majAtK, k)),
    fixedCell(score.tokensPerCorrectAnswer, 0),
  ]);
  return html`<h4>${benchmark} (${sampleSize(scores)})</h4>${dataTable(`pass@k and maj@k, ${benchmark}`, head, rows)}`;
}
