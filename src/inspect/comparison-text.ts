import type { Json } from '../core/problem.ts';
import { alignColumns } from '../report/columns.ts';
import { fixed, percent, points, pointsInterval, pValue } from '../report/format.ts';
import type { RunComparison, RunsCompared } from './compare-runs.ts';

/** A comparison of two runs for a terminal: what is to be known first, then a table for each benchmark. */
export function comparisonText({ from, to, comparisons, notCompared }: RunsCompared): string {
  const benchmarks = [...new Set(comparisons.map(({ benchmark }) => benchmark))];
  const others = comparisons.filter(({ sameProtocol }) => sameProtocol !== true);
  return [
    `${to} − ${from}, paired by problem`,
    ...(others.length > 0 ? ['', ...warnings(others)] : []),
    ...benchmarks.flatMap((benchmark) => {
      const its = comparisons.filter((comparison) => comparison.benchmark === benchmark);
      return ['', `${benchmark} (${sizes(its)})`, ...alignColumns(table(its))];
    }),
    '',
    ...notes(comparisons),
    ...(notCompared.length > 0 ? [`Not compared, since only one run has it: ${notCompared.join(', ')}.`] : []),
    'Intervals (95 %) cover the choice of problems and of samples, for one training seed of each run; p is from a ' +
      'sign-flip test, then corrected over benchmarks (Holm). "Detectable" is the true difference that so many problems ' +
      'show four times of five.',
  ].join('\n');
}

function table(comparisons: readonly RunComparison[]): string[][] {
  return [
    ['checkpoint', 'from', 'to', 'points', '95 % interval', 'p', 'p (Holm)', 'detectable'],
    ...comparisons.map((one) => {
      const detectable = one.minimumDetectableDifference;
      if (one.problems === 0) return [nameOf(one), '', '', 'no problem in common'];
      if (one.sameAnswers) return [one.to, percent(one.scores.from), percent(one.scores.to), 'the same answers'];
      return [
        nameOf(one),
        percent(one.scores.from),
        percent(one.scores.to),
        points(one.difference),
        pointsInterval(one.low, one.high),
        pValue(one.pValue),
        pValue(one.pHolm),
        fixed(detectable === null ? null : detectable * 100),
      ];
    }),
  ];
}

/** Marked where the two were asked in different ways. */
function nameOf({ from, to, sameProtocol }: RunComparison): string {
  return `${sameProtocol === true ? '' : '! '}${from === to ? to : `${to} − ${from}`}`;
}

function sizes(comparisons: readonly RunComparison[]): string {
  const [first] = comparisons;
  if (first === undefined) return 'nothing';
  const { samples, problems } = first;
  const each = samples.from === samples.to ? `${samples.to}` : `${samples.from} and ${samples.to}`;
  return `${problems} problems × ${each} samples`;
}

/** Two checkpoints that were asked in two ways are never compared silently. */
function warnings(comparisons: readonly RunComparison[]): string[] {
  const unknown = comparisons.filter(({ sameProtocol }) => sameProtocol === null);
  const by = new Map<string, string[]>();
  for (const { benchmark, protocol } of comparisons) {
    const paths = protocol.map(({ path, from, to }) => `    ${path}: ${shown(from)} → ${shown(to)}`);
    if (paths.length > 0) by.set(`  ${benchmark}`, [...new Set([...(by.get(`  ${benchmark}`) ?? []), ...paths])]);
  }
  return [
    ...(by.size > 0
      ? ['! ASKED OR GRADED IN DIFFERENT WAYS: these differences are not of checkpoints alone.', ...[...by].flat(2)]
      : []),
    ...(unknown.length > 0 ? ['! How one side was asked is not known, so it may have been otherwise.'] : []),
  ];
}

const longestShown = 60;

function shown(value: Json): string {
  const text = value === null ? 'not recorded' : JSON.stringify(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

function notes(comparisons: readonly RunComparison[]): string[] {
  const lines: string[] = [];
  const same = comparisons.filter(({ sameAnswers }) => sameAnswers);
  if (same.length > 0)
    lines.push(`Both runs use the same stored answers of ${[...new Set(same.map(({ to }) => to))].join(', ')}.`);
  if (comparisons.some(({ problems }) => problems === 0))
    lines.push(
      'Without a problem in common nothing can be paired. Generated problems follow the seed: for runs of different seeds ' +
        'there is --seeds.',
    );
  for (const benchmark of new Set(comparisons.map((one) => one.benchmark))) {
    const one = comparisons.find((comparison) => comparison.benchmark === benchmark) as RunComparison;
    if (one.onlyFrom + one.onlyTo > 0)
      lines.push(
        `${benchmark}: left out, since only one run has them: ${one.onlyFrom} problems of the first, ${one.onlyTo} of the second.`,
      );
    if (one.changed > 0) {
      const are = one.changed === 1 ? '1 problem has' : `${one.changed} problems have`;
      lines.push(
        `${benchmark}: ${are} the same id in both runs and ${one.changed === 1 ? 'is' : 'are'} not the same: left out.`,
      );
    }
  }
  return lines;
}
