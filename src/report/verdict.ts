import { percent, points, pValue } from './format.ts';
import type { Comparison, Summary } from './summary-schema.ts';

/**
 * What the run showed on its headline benchmark, in one sentence with the interval, whatever the sign. A difference
 * whose interval holds zero is called unresolved, never equal.
 */
export function verdict(summary: Summary): string {
  const [first] = summary.scores;
  if (!first) return 'Nothing was scored.';
  const headline = summary.comparisons.find((comparison) => comparison.benchmark === first.benchmark);
  if (headline) return sentence(summary, headline);
  const { value, low, high } = first.passAt1;
  const alone = isTrained(summary)
    ? 'no second checkpoint was scored that it is compared with'
    : 'nothing was trained that it could be compared with';
  return (
    `${first.checkpoint} answers ${percent(value)} of ${first.benchmark} right (95 % interval ${percent(low)} to ` +
    `${percent(high)}); ${alone}.`
  );
}

/** The paper's claim in miniature on the headline benchmark; null when either arm's RL is missing. */
export function claim(summary: Summary): string | null {
  const benchmark = summary.scores[0]?.benchmark;
  const found = summary.comparisons.find(
    (comparison) =>
      comparison.from === 'direct-rl' && comparison.to === 'search-rl' && comparison.benchmark === benchmark,
  );
  return found
    ? `The paper's claim in miniature, reinforcement learning from a search prior against a direct one: ${sentence(summary, found)}`
    : null;
}

/** Without a trainer a run scores the base model and nothing else. */
export function isTrained({ stages }: { stages: readonly { name: string }[] }): boolean {
  return stages.some((stage) => stage.name === 'sft');
}

function sentence(summary: Summary, comparison: Comparison): string {
  const { from, to, benchmark, difference, low, high } = comparison;
  const of = (checkpoint: string) =>
    percent(
      summary.scores.find((score) => score.checkpoint === checkpoint && score.benchmark === benchmark)?.passAt1.value ??
        0,
    );
  const scores = `${to} answers ${of(to)} of ${benchmark} right and ${from} ${of(from)}`;
  const p = pValue(comparison.pValue);
  const evidence = `95 % interval ${points(low)} to ${points(high)}, p ${p.startsWith('<') ? p : `= ${p}`}`;
  const size = `${(Math.abs(difference) * 100).toFixed(1)} points`;
  if (low > 0) return `${scores}: better by ${size} (${evidence}).`;
  if (high < 0) return `${scores}: worse by ${size} (${evidence}).`;
  const detectable = comparison.minimumDetectableDifference;
  const reach =
    detectable === null
      ? ''
      : `; so many problems show differences of ${(detectable * 100).toFixed(1)} points and more`;
  return `${scores}: the difference of ${points(difference)} points is not resolved (${evidence}${reach}).`;
}
