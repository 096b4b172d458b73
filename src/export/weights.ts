import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyConfig } from '../config/schema.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { Trainer } from '../services/trainer/trainer.ts';
import { ExportError } from './folder.ts';

const SCHEME = 'tinker://';

/**
 * The folder that holds a checkpoint's weights: on this machine, where a job or the bundled engine left them (running
 * or not), else a download below `downloads`.
 *
 * @throws ExportError, ServiceError
 */
export async function findWeights(
  { id, samplerModel, trainerState, ...checkpoint }: Checkpoint,
  { trainer: section }: PolicyConfig,
  { trainer, engineCheckpoints, signal }: { trainer: Trainer; engineCheckpoints: string; signal: AbortSignal },
  downloads: string,
): Promise<string> {
  if (section?.kind === 'job') {
    if (trainerState !== null && existsSync(trainerState)) return trainerState;
    throw new ExportError(`The training job left its model in ${trainerState}, which this machine does not have.`);
  }
  const paths = [samplerModel, trainerState].filter((path) => path?.startsWith(SCHEME));
  for (const path of paths) {
    const left = join(engineCheckpoints, (path as string).slice(SCHEME.length));
    // Written last: with it the folder is whole.
    if (existsSync(join(left, 'meta.json'))) return left;
  }
  if (samplerModel?.startsWith(SCHEME)) return trainer.fetchWeights(samplerModel, downloads, signal);
  // Published elsewhere, or not at all: the trainer saves it once more, as for sampling.
  const live = await trainer.restore({ id, trainerState, ...checkpoint }, { optimizer: false }, signal);
  try {
    const saved = await trainer.saveForSampler(live, `export-${Date.now().toString(36)}`, signal);
    return await trainer.fetchWeights(saved.samplerModel, downloads, signal);
  } finally {
    await trainer.release(live, signal);
  }
}
