import type { Checkpoint } from '../core/checkpoint.ts';
import { defaultResumeLimits, describePass, type ResumeLimits, resumeMismatch } from '../core/resume-gate.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Datum, StepResult } from '../services/trainer/trainer.ts';
import { failure } from './failures.ts';

/**
 * How many passes after a checkpoint are recorded. The first shows the weights. The second also shows the optimiser's
 * moments, so it counts where they were restored; at a stage's start they are fresh, and a new adapter is random.
 */
export function recordedPasses(checkpoint: Checkpoint): number {
  return checkpoint.step > 0 ? 2 : 1;
}

/**
 * The resume-equivalence gate. Whoever first makes a pass after a checkpoint, the live model that went on or a restored
 * one, leaves its log-probabilities under `name`; every later model that restores the checkpoint must find the same.
 * Called before anything else comes of the pass.
 *
 * @throws ResumeMismatch (final: the same restore would give the same model)
 */
export async function checkPass(
  store: ArtifactStore,
  name: string,
  pass: { checkpoint: Checkpoint; data: readonly Datum[]; result: StepResult; limits: ResumeLimits | undefined },
): Promise<void> {
  const seen = describePass(pass.checkpoint, pass.data, pass.result.logprobs);
  const recorded = await store.getJson<typeof seen>(await store.putJson(name, seen));
  const reason = resumeMismatch(recorded, seen, pass.limits ?? defaultResumeLimits);
  if (reason !== null) throw failure('ResumeMismatch', `${reason}. The record: ${store.locate(name)}`);
}
