import type { Checkpoint } from '../core/checkpoint.ts';
import { sha256Hex } from '../core/key.ts';
import { probeTokens } from '../core/resume-gate.ts';
import { ServiceError } from '../services/errors.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Datum, LiveModel, Trainer } from '../services/trainer/trainer.ts';
import type { Attempt } from './boundary.ts';
import { failure } from './failures.ts';
import { checkProbe, type Gate, storeProbe } from './resume-gate.ts';

/** A checkpoint that nobody may need again is kept this long; results keep theirs without limit. */
const intermediateTtlSeconds = 14 * 24 * 3600;

/** Whether an attempt goes on with the live model it was handed. */
export function isContinued(checkpoint: Checkpoint, live: LiveModel | null, at: Pick<Attempt, 'number'>): boolean {
  return at.number === 1 && live?.checkpointId === checkpoint.id;
}

/**
 * A live model that stands exactly at the checkpoint. Only a first attempt may continue the one it was handed: any
 * retry makes a new model, so a zombie attempt may still step the old one, and nobody will use it. Starting from the
 * base or from another stage's checkpoint means a fresh optimiser.
 */
export async function liveModelAt(
  trainer: Trainer,
  checkpoint: Checkpoint,
  live: LiveModel | null,
  at: Attempt,
  gate: Gate,
  options: { optimizer: boolean } = { optimizer: checkpoint.step > 0 },
): Promise<LiveModel> {
  // What an operator cancels nobody will train further, so it need not be held.
  const held = (model: LiveModel): LiveModel => {
    at.onCancel(() => trainer.release(model, at.signal));
    return model;
  };
  if (live !== null && isContinued(checkpoint, live, at)) return held(live);
  // A zombie that still steps it is refused from now on, and its memory is free.
  if (live !== null && at.number > 1) await trainer.release(live, at.signal);
  at.report({ phase: `restore ${checkpoint.id}` });
  return held(await checkProbe(gate, trainer, checkpoint, await restore(trainer, checkpoint, options, at), at.signal));
}

async function restore(
  trainer: Trainer,
  checkpoint: Checkpoint,
  options: { optimizer: boolean },
  at: Attempt,
): Promise<LiveModel> {
  try {
    return await trainer.restore(checkpoint, options, at.signal);
  } catch (error) {
    throw error instanceof ServiceError && error.kind === 'expired' ? checkpointLost(checkpoint, error) : error;
  }
}

/** Trying again cannot help, and what to give up is for a person to say. */
function checkpointLost(checkpoint: Checkpoint, cause: ServiceError): Error {
  return failure(
    'CheckpointLost',
    `checkpoint ${checkpoint.id} is gone (${cause.message}); those between two milestones are kept for ` +
      `${intermediateTtlSeconds / 86_400} days. See "An expired checkpoint" in docs/operating.md for how to go on from ` +
      'an earlier one, or set a new "salt" to start over',
  );
}

/** Saves training state; the attempt is part of the name, so that a retry never meets its predecessor's files. */
export async function saveCheckpoint(
  trainer: Trainer,
  live: LiveModel,
  store: ArtifactStore,
  options: {
    id: string;
    step: number;
    base: string;
    name: string;
    keep: boolean;
    /** The result that will hold the checkpoint: what it is known by lies beside it. */
    resultName: string;
    /** Sequences to know it by; with none it has no probe. */
    lastBatch: readonly Datum[];
    at: Attempt;
  },
): Promise<{ checkpoint: Checkpoint; live: LiveModel }> {
  const { id, step, base, name, keep, resultName, lastBatch, at } = options;
  const saved = await trainer.save(
    live,
    `${name}-a${at.number}`,
    keep ? {} : { ttlSeconds: intermediateTtlSeconds },
    at.signal,
  );
  const checkpoint: Checkpoint = { id, step, base, trainerState: saved.trainerState };
  // Of two attempts each has a checkpoint of its own, and a probe of its own with it.
  const probeName = `${resultName.slice(0, resultName.lastIndexOf('/'))}/probe-${sha256Hex(saved.trainerState).slice(0, 16)}.json`;
  const probed = await storeProbe(store, probeName, trainer, checkpoint, saved.live, probeTokens(lastBatch), at.signal);
  return { checkpoint: probed.checkpoint, live: { ...probed.live, checkpointId: id } };
}
