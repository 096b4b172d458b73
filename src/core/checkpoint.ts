import type { ArtifactRef } from './artifact.ts';

/** A point that training restores from and sampling can be asked for. Input and output of every training activity. */
export interface Checkpoint {
  /** Readable and unique: `base`, `<key>/step-0150`, `<key>/iter-0007`. */
  id: string;
  /** Optimiser steps since the stage's start. */
  step: number;
  /** The base model the weights grew from. */
  base: string;
  /** What the trainer restores from (a `tinker://` path); null for the base itself. */
  trainerState: string | null;
  /** A `Probe` that a model restored here must agree with; absent where the trainer only trains. */
  probe?: ArtifactRef;
  /** What a sampler is asked for; set once `publish` has confirmed it. */
  samplerModel?: string;
}
