import type { Json } from '../core/problem.ts';
import { differences } from '../core/protocol.ts';
import { type AcrossSeeds, acrossSeeds } from '../core/stats/seeds.ts';
import type { Summary } from '../report/summary-schema.ts';
import { configOf, NotInRun, type StoredRun, summaryOf } from './stored-run.ts';

/** Several runs of one configuration with different seeds: what varies between them. */
export interface SeedsCompared {
  schema: 'astroflow.seeds/1';
  runs: { run: string; seed: number }[];
  scores: ({ checkpoint: string; benchmark: string; values: number[] } & AcrossSeeds)[];
  /** Differences inside each run, over the seeds: the paper's claim is one of them. */
  comparisons: ({ from: string; to: string; benchmark: string; values: number[] } & AcrossSeeds)[];
  /** What differs in the configurations beside the seed, which the spread then holds as well. */
  alsoDiffers: string[];
}

/**
 * Spread between training seeds, with seeds as the unit of chance.
 * @throws NotInRun where a run has no summary, two runs have one seed, or fewer than two were named
 */
export async function compareSeeds(runs: readonly StoredRun[]): Promise<SeedsCompared> {
  if (runs.length < 2) throw new NotInRun('Name two runs or more: the spread between seeds needs several seeds.');
  const summaries: Summary[] = [];
  for (const run of runs) {
    const summary = await summaryOf(run);
    if (summary === null) throw new NotInRun(`${run.name} has no summary yet: see "astroflow status ${run.name}".`);
    summaries.push(summary);
  }
  const seeds = runs.map(({ plan }) => plan.seed);
  const twice = seeds.findIndex((seed, i) => seeds.indexOf(seed) !== i);
  if (twice >= 0) {
    const first = runs[seeds.indexOf(seeds[twice] as number)]?.name;
    throw new NotInRun(`${runs[twice]?.name} and ${first} both have the seed ${seeds[twice]}: leave one of them out.`);
  }
  return {
    schema: 'astroflow.seeds/1',
    runs: runs.map(({ name }, i) => ({ run: name, seed: seeds[i] as number })),
    scores: overSeeds(
      summaries.map(({ scores }) =>
        scores.map(({ checkpoint, benchmark, passAt1 }) => ({ of: { checkpoint, benchmark }, value: passAt1.value })),
      ),
      [0, 1],
    ),
    comparisons: overSeeds(
      summaries.map(({ comparisons }) =>
        comparisons.map(({ from, to, benchmark, difference }) => ({ of: { from, to, benchmark }, value: difference })),
      ),
      [-1, 1],
    ),
    alsoDiffers: await otherDifferences(runs, summaries),
  };
}

/** What every run has, in the order of the first; intervals end where the quantity does. */
function overSeeds<T extends object>(
  runs: readonly (readonly { of: T; value: number }[])[],
  [least, most]: readonly [number, number],
): (T & { values: number[] } & AcrossSeeds)[] {
  const [first = []] = runs;
  return first.flatMap(({ of }) => {
    const key = JSON.stringify(of);
    const values = runs.flatMap((its) => its.find((one) => JSON.stringify(one.of) === key)?.value ?? []);
    if (values.length < runs.length) return [];
    const { low, high, ...across } = acrossSeeds(values);
    const ends = { low: low && Math.max(least, low), high: high && Math.min(most, high) };
    return [{ ...of, values, ...across, ...ends }];
  });
}

/** Names of the run, seeds and notes are expected to differ, and so are problems that a seed generated. */
const EXPECTED = /^(run|seed|salt|\$schema|notes)(\.|$)/;

async function otherDifferences(runs: readonly StoredRun[], summaries: readonly Summary[]): Promise<string[]> {
  const [first, ...others] = await Promise.all(runs.map(configOf));
  const paths = others
    .flatMap((config) => differences(first as unknown as Json, config as unknown as Json))
    .map(({ path }) => path)
    .filter((path) => !EXPECTED.test(path));
  const sets = new Set(
    summaries.map(({ protocols }) => protocols.map(({ protocol }) => protocol.problems.sha256).join()),
  );
  return [...new Set(paths), ...(sets.size > 1 ? ['problems of the benchmarks'] : [])];
}
