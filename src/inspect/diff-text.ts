import type { Json } from '../core/problem.ts';
import { alignColumns } from '../report/columns.ts';
import type { RunsDiffer } from './diff-runs.ts';

const longestShown = 70;
/** Differences of one part that a person reads; `--json` has all. */
const mostShown = 40;

/** What differs between two runs, for a terminal. */
export function diffText({ from, to, config, keys, versions, results }: RunsDiffer): string {
  return [
    `${from} → ${to}`,
    '',
    ...part('Configuration', config),
    '',
    'Stages (equal keys: the same artifacts)',
    ...alignColumns(keys.map((key) => [`  ${key.stage}`, ...stageCells(key)])),
    '',
    ...part('Versions', versions),
    '',
    ...part('Results', results),
    ...(results?.some(({ path }) => path.startsWith('pass@1'))
      ? ['', `Which of these are real: astroflow compare ${from} ${to}`]
      : []),
  ].join('\n');
}

function stageCells({ from, to, shared, reused }: RunsDiffer['keys'][number]): string[] {
  const by = (name: string, flag: boolean | null) => (flag === true ? [`reused by ${name}`] : []);
  const notes = [...by('the first', reused.from), ...by('the second', reused.to)].join(', ');
  return shared ? [`= ${from}`, notes] : [`${from ?? 'none'} → ${to ?? 'none'}`, notes];
}

function part(title: string, values: { path: string; from: Json; to: Json }[] | null): string[] {
  if (values === null) return [`${title}: not known, since a run has no summary yet`];
  if (values.length === 0) return [`${title}: the same`];
  const lines = values.slice(0, mostShown).map(({ path, from, to }) => `  ${path}: ${shown(from)} → ${shown(to)}`);
  const more = values.length - lines.length;
  return [title, ...lines, ...(more > 0 ? [`  … and ${more} more: --json has them all`] : [])];
}

function shown(value: Json): string {
  if (value === null) return 'none';
  const text = typeof value === 'number' ? String(Number(value.toFixed(4))) : JSON.stringify(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}
