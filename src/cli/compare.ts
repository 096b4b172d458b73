import { compareRuns } from '../inspect/compare-runs.ts';
import { compareSeeds } from '../inspect/compare-seeds.ts';
import { comparisonText } from '../inspect/comparison-text.ts';
import { seedsText } from '../inspect/seeds-text.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { inspected, openRuns } from './inspected.ts';

export interface CompareOptions {
  checkpoint: string[];
  seeds?: boolean;
  resamples: number;
  json?: boolean;
}

/** `astroflow compare RUN_A RUN_B`, or `--seeds RUN...`. */
export async function compareCommand(home: Home, names: readonly string[], options: CompareOptions): Promise<number> {
  if (!options.seeds && names.length !== 2)
    throw new CliError('Name two runs, or several runs of different seeds with --seeds.');
  return inspected(async () => {
    const runs = await openRuns(home, names);
    if (options.seeds) {
      const compared = await compareSeeds(runs);
      return options.json ? compared : seedsText(compared);
    }
    const [from, to] = runs as [(typeof runs)[number], (typeof runs)[number]];
    const compared = await compareRuns(from, to, {
      checkpoints: options.checkpoint,
      bootstrapSamples: options.resamples,
    });
    return options.json ? compared : comparisonText(compared);
  });
}
