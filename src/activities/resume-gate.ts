import type { Checkpoint } from '../core/checkpoint.ts';
import {
  defaultResumeLimits,
  describePass,
  type Probe,
  probeData,
  type ResumeLimits,
  resumeMismatch,
} from '../core/resume-gate.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Datum, LiveModel, StepResult, Trainer } from '../services/trainer/trainer.ts';
import { failure } from './failures.ts';

/**
 * The resume-equivalence gate. Two things are recorded of a checkpoint, and whoever restores it must find the same:
 *
 * - a **probe**, made with the checkpoint: what the saved model makes of a few sequences of its last batch
 * - the first **passes** after it, by whoever makes them first, the live model that went on or a restored one
 *
 * A mismatch is final: the same restore would give the same model.
 */
export interface Gate {
  store: ArtifactStore;
  /** Undefined in plans that are older than the gate: our default. */
  limits: ResumeLimits | undefined;
}

/**
 * How many passes after a checkpoint are recorded. The first shows the weights. The second also shows the optimiser's
 * moments, so it counts where they were restored; at a stage's start they are fresh, and a new adapter is random.
 */
export function recordedPasses(checkpoint: Checkpoint): number {
  return checkpoint.step > 0 ? 2 : 1;
}

/** Records a pass under `name`, or compares it with the record. Called before anything else comes of the pass. */
export async function checkPass(
  { store, limits }: Gate,
  name: string,
  { checkpoint, data, logprobs }: { checkpoint: Checkpoint; data: readonly Datum[] } & Pick<StepResult, 'logprobs'>,
): Promise<void> {
  const seen = describePass(checkpoint, data, logprobs);
  const recorded = await store.getJson<typeof seen>(await store.putJson(name, seen));
  const reason = resumeMismatch(recorded, seen, limits ?? defaultResumeLimits);
  if (reason !== null) throw mismatch(reason, store.locate(name));
}

/** The checkpoint with its probe, if there is something to probe it with and the trainer can. */
export async function storeProbe(
  store: ArtifactStore,
  name: string,
  trainer: Trainer,
  checkpoint: Checkpoint,
  live: LiveModel,
  tokens: number[][],
  signal: AbortSignal,
): Promise<{ checkpoint: Checkpoint; live: LiveModel }> {
  if (tokens.length === 0) return { checkpoint, live };
  const data = probeData(tokens);
  const { live: after, logprobs } = await trainer.forward(live, data, signal);
  if (logprobs === null) return { checkpoint, live: after };
  const probe: Probe = { schema: 'astroflow.probe/1', tokens, pass: describePass(checkpoint, data, logprobs) };
  return { checkpoint: { ...checkpoint, probe: await store.putJson(name, probe) }, live: after };
}

/** A restored model behind its probe. */
export async function checkProbe(
  { store, limits }: Gate,
  trainer: Trainer,
  checkpoint: Checkpoint,
  live: LiveModel,
  signal: AbortSignal,
): Promise<LiveModel> {
  if (checkpoint.probe === undefined) return live;
  const { tokens, pass } = await store.getJson<Probe>(checkpoint.probe);
  const data = probeData(tokens);
  const { live: after, logprobs } = await trainer.forward(live, data, signal);
  if (logprobs === null) return after;
  // The stage that made it may have named it otherwise.
  const seen = describePass({ ...checkpoint, id: pass.checkpoint }, data, logprobs);
  const reason = resumeMismatch(pass, seen, limits ?? defaultResumeLimits);
  if (reason === null) return after;
  await trainer.release(after, signal);
  throw mismatch(reason, store.locate(checkpoint.probe.uri));
}

const mismatch = (reason: string, record: string) => failure('ResumeMismatch', `${reason}. The record: ${record}`);
