import { fixed, integer, percent, pValue, seconds } from './format.ts';
import { problemNotes } from './problem-notes.ts';
import { familyNote, scoreNotes } from './score-notes.ts';
import type { Score, Summary } from './summary-schema.ts';
import {
  benchmarksOf,
  comparisonsOf,
  comparisonTable,
  coverage,
  sampleSize,
  scoresOf,
  scoreTable,
  type Table,
} from './tables.ts';
import { claim, verdict } from './verdict.ts';

/** Rows of a learning curve that a person reads; all points are in `summary.json`. */
const CURVE_ROWS = 10;

/** `report.md`: the summary for people, most important first. Every number in it is in `summary.json` too. */
export function renderReport(summary: Summary): string {
  const sections = [
    `# Run ${summary.run}`,
    [`**${verdict(summary)}**`, claim(summary)].filter((text) => text !== null).join('\n\n'),
    ...problemNotes(summary),
    ...scoreNotes(summary),
    coverage(summary),
    ...benchmarksOf(summary).map((benchmark) => benchmarkSection(summary, benchmark)),
    behaviourSection(summary),
    funnelSection(summary),
    stagesSection(summary),
    ...Object.entries(summary.rl).flatMap(([arm, points]) => (points.length > 0 ? [curveSection(arm, points)] : [])),
    provenanceSection(summary),
  ];
  return `${sections.join('\n\n')}\n`;
}

function benchmarkSection(summary: Summary, benchmark: string): string {
  const scores = scoresOf(summary, benchmark);
  const comparisons = comparisonsOf(summary, benchmark);
  const parts = [
    `## Scores: ${benchmark} (${sampleSize(scores)})`,
    table(scoreTable(scores)),
    'pass@1 is the mean over problems of the share of right answers; an answer that is cut off is wrong. The interval ' +
      'is a bootstrap over problems, then samples.',
  ];
  const families = familyNote(summary, benchmark);
  if (families !== null) parts.push(families);
  if (comparisons.length > 0) {
    const [header = [], ...rows] = comparisonTable(comparisons);
    parts.push(
      table([
        [...header, 'p (Holm)', 'detectable from'],
        ...rows.map((row, i) => {
          const comparison = comparisons[i];
          const detectable = comparison?.minimumDetectableDifference ?? null;
          return [...row, pValue(comparison?.pHolm ?? 1), fixed(detectable === null ? null : detectable * 100)];
        }),
      ]),
      'Differences are paired by problem; p is from a sign-flip permutation test, then corrected over benchmarks. The ' +
        'last column is the true difference that so many problems would show four times of five.',
    );
  }
  const counted = whatBecame(scores);
  if (counted !== null) parts.push('### What became of the samples', table(counted));
  parts.push('### Several samples', table(severalSamples(scores)));
  parts.push('### Accuracy against the token cap', table(accuracyCurve(scores)));
  return parts.join('\n\n');
}

function severalSamples(scores: readonly Score[]): Table {
  const ks = (scores[0]?.passAtK ?? []).map(({ k }) => k);
  const value = (points: { k: number; value: number }[], k: number) => {
    const point = points.find((one) => one.k === k);
    return point ? percent(point.value) : 'n/a';
  };
  return [
    ['checkpoint', ...ks.map((k) => `pass@${k}`), ...ks.map((k) => `maj@${k}`)],
    ...scores.map((score) => [
      score.checkpoint,
      ...ks.map((k) => value(score.passAtK, k)),
      ...ks.map((k) => value(score.majAtK, k)),
    ]),
  ];
}

function whatBecame(scores: readonly Score[]): Table | null {
  const rows = scores.flatMap(({ checkpoint, counts }) => {
    if (counts === null) return [];
    const { right, wrong, undecided, unanswered, truncated, errored } = counts;
    return [[checkpoint, ...[right, wrong, undecided, unanswered, truncated, errored].map(integer)]];
  });
  if (rows.length === 0) return null;
  return [['checkpoint', 'right', 'wrong', 'undecided', 'no answer', 'cut off', 'errors'], ...rows];
}

function accuracyCurve(scores: readonly Score[]): Table {
  return [
    ['checkpoint', ...(scores[0]?.accuracyAtCaps ?? []).map(({ cap }) => `≤ ${cap}`)],
    ...scores.map((score) => [score.checkpoint, ...score.accuracyAtCaps.map(({ accuracy }) => percent(accuracy))]),
  ];
}

function behaviourSection(summary: Summary): string {
  const rows = summary.scores.map(({ revisions, ...score }) => [
    `${score.checkpoint}, ${score.benchmark}`,
    fixed(score.backtracksPerAnswer, 2),
    fixed(score.backtracksWhenRight, 2),
    fixed(score.backtracksWhenWrong, 2),
    ...(revisions === null
      ? ['n/a', percent(score.recoveries), 'n/a', 'n/a']
      : [
          percent(revisions.all.firstRight),
          percent(revisions.all.recoveries),
          percent(revisions.all.harmfulRevisions),
          fixed(revisions.all.repeatedWrong, 2),
        ]),
    fixed(score.tokensPerCorrectAnswer, 0),
  ]);
  const header = [
    'checkpoint',
    'backtracks',
    'when right',
    'when wrong',
    'first right',
    'recovered',
    'harmed',
    'repeated',
    'tokens per right',
  ];
  return [
    '## Behaviour',
    table([header, ...rows]),
    'Backtracks are per answer. First right: the first answer stated is right; recovered: wrong first, right at the end; ' +
      'harmed: right first, wrong at the end; repeated: wrong answers per answer that it had stated before. Tokens per ' +
      'right answer include those of wrong ones.',
  ].join('\n\n');
}

function funnelSection({ funnel }: Summary): string {
  const rows: Table = [
    ['what', 'count'],
    ['problems', integer(funnel.problems)],
    ['trees', integer(funnel.trees)],
    ['trees with a right answer', integer(funnel.solved)],
    ['trees that gave rows', integer(funnel.valid)],
    ['search rows', integer(funnel.searchRows)],
    ['direct rows', integer(funnel.directRows)],
    ...Object.entries(funnel.rejected).map(([reason, number]) => [`rejected: ${reason}`, integer(number)]),
    ...languageRows(funnel.language),
  ];
  return ['## From problems to training rows', table(rows)].join('\n\n');
}

function languageRows(language: Summary['funnel']['language']): string[][] {
  if (language === undefined) return [];
  return [
    ['right solutions judged', integer(language.judged)],
    ['right solutions approved', integer(language.approved)],
    ['votes without a verdict', integer(language.unreadVotes)],
    ['events narrated', integer(language.narrated)],
    ['events a template wrote instead', integer(language.fallbacks)],
    ...Object.entries(language.rejectedRows).map(([reason, number]) => [`rows rejected: ${reason}`, integer(number)]),
  ];
}

function stagesSection(summary: Summary): string {
  const rows = summary.stages.map((stage) => [
    stage.arm === undefined ? stage.name : `${stage.name}, ${stage.arm}`,
    seconds(stage.seconds),
    integer(stage.calls),
    integer(stage.tokens),
    stage.wastedTokens === null ? 'n/a' : integer(stage.wastedTokens),
    stage.reused ? 'reused' : 'made by this run',
  ]);
  return [
    '## Cost',
    table([['stage', 'time', 'calls', 'sampled tokens', 'wasted tokens', 'origin'], ...rows]),
    `All stages together took ${seconds(summary.wallSeconds)}. Wasted tokens were served and no stored result uses ` +
      'them: the price of retries and restarts. A reused stage lists what it cost when it was made.',
    ...wasteReasons(summary),
  ].join('\n\n');
}

function wasteReasons({ stages }: Summary): string[] {
  const reasons = stages.flatMap(({ name, arm, wastedBy }) =>
    Object.entries(wastedBy ?? {}).map(([reason, { calls, tokens }]) => {
      return `${arm === undefined ? name : `${name} ${arm}`}: ${integer(tokens)} tokens in ${integer(calls)} calls (${reason})`;
    }),
  );
  return reasons.length === 0 ? [] : [`Why they were wasted: ${reasons.join('; ')}.`];
}

function curveSection(arm: string, iterations: NonNullable<Summary['rl']['search']>): string {
  const stride = Math.max(1, Math.ceil(iterations.length / CURVE_ROWS));
  const shown = iterations.filter((_, i) => i % stride === 0 || i === iterations.length - 1);
  const rows = shown.map((point) => [
    String(point.iteration),
    fixed(point.meanReward, 2),
    percent(point.passRate),
    fixed(point.meanTokens, 0),
    fixed(point.backtracksPerAnswer),
    percent(point.truncated),
    `${point.zeroVarianceGroups} of ${point.groups}`,
    fixed(point.entropy, 3),
    fixed(point.logprobGap, 4),
  ]);
  const header = [
    'iteration',
    'reward',
    'right',
    'tokens',
    'backtracks',
    'cut off',
    'uniform groups',
    'entropy',
    'gap',
  ];
  return [
    `## Reinforcement learning: ${arm}`,
    table([header, ...rows]),
    'Entropy is the mean negative log-probability per sampled token; gap is the mean difference of log-probabilities ' +
      'between trainer and sampler.',
    ...restartNotes(iterations),
  ].join('\n\n');
}

function restartNotes(iterations: NonNullable<Summary['rl']['search']>): string[] {
  const restarted = iterations.filter(
    ({ restarts }) => restarts !== undefined && (restarts.restored || restarts.rollouts + restarts.update > 0),
  );
  if (restarted.length === 0) return [];
  const numbers = restarted.map(({ iteration }) => iteration).join(', ');
  return [`Went on after a lost attempt, or from a checkpoint, at: ${numbers}.`];
}

function provenanceSection(summary: Summary): string {
  const list = (entries: Record<string, string>) =>
    Object.entries(entries).map(([name, value]) => `- ${name}: \`${value.replaceAll('`', "'")}\``);
  return [
    '## Where it comes from',
    [`- seed: ${summary.seed}`, ...list(summary.versions), ...summary.protocols.map(protocolLine)].join('\n'),
    'Artifacts, relative to the store:',
    list(summary.artifacts).join('\n') || '- none were listed',
  ].join('\n\n');
}

function protocolLine({ hash, checkpoints, protocol }: Summary['protocols'][number]): string {
  const { benchmark, decoding, engine, grader } = protocol;
  const by = [engine.sampler, engine.version].filter((part) => part !== null).join(' ');
  return (
    `- protocol of ${benchmark} (${checkpoints.join(', ')}): \`${hash}\`, temperature ${decoding.temperature}, at most ` +
    `${decoding.maxTokens} tokens, sampled by ${by.replaceAll('`', "'")}, grader ${grader ?? 'not recorded'}`
  );
}

function table(rows: Table): string {
  const [header = [], ...body] = rows.map((row) =>
    row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')),
  );
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : '---:'))), ...body.map(line)].join('\n');
}
