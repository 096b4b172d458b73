import { sha256Hex } from './key.ts';

/** What one training batch looked like to a model that had just been put at a checkpoint. */
export interface ForwardPass {
  schema: 'astroflow.forward-pass/1';
  /** The checkpoint's id and what the trainer restores it from. */
  checkpoint: string;
  trainerState: string | null;
  /** Hash of the batch's tokens. */
  batch: string;
  /** Targets that carry loss; `logprobs` are of so many of them, evenly spread. */
  targets: number;
  /** To six decimals; null where the trainer's number is not finite. */
  logprobs: (number | null)[];
}

export interface ResumeLimits {
  /** Mean |log p - log p recorded| per token. */
  maxLogprobGap: number;
  /** The same of any single token. */
  maxTokenGap: number;
}

/**
 * Our default. A trainer that computes in a fixed order is exact: the bundled engine's gap is 0, also over its own
 * `kill -9`. Accelerators sum in changing orders and half precision, which moves a token's log-probability by some
 * 1e-3. A wrong restore of the bundled model, fine-tuned at 1e-3, gives means of 0.012 (five steps too early), 0.017
 * (fresh optimiser, seen one step later) and 0.03 (the base).
 */
export const defaultResumeLimits: ResumeLimits = { maxLogprobGap: 0.01, maxTokenGap: 1 };

/** Enough for the mean to be sharp; a record stays below 8 KB, however large the batch. */
const RECORDED_TARGETS = 512;

interface PassDatum {
  tokens: readonly number[];
  weights?: readonly number[];
  advantages?: readonly number[];
}

/**
 * A forward pass as it is recorded.
 *
 * @param logprobs Per datum, of each token as a target, under the weights before the step.
 */
export function describePass(
  { id, trainerState }: { id: string; trainerState: string | null },
  data: readonly PassDatum[],
  logprobs: readonly (readonly number[])[],
): ForwardPass {
  const targets = data.flatMap((datum, row) => {
    const loss = datum.weights ?? datum.advantages ?? [];
    return datum.tokens.flatMap((_, at) => (at > 0 && loss[at] !== 0 ? [logprobs[row]?.[at] ?? Number.NaN] : []));
  });
  const count = Math.min(targets.length, RECORDED_TARGETS);
  return {
    schema: 'astroflow.forward-pass/1',
    checkpoint: id,
    trainerState,
    batch: sha256Hex(JSON.stringify(data.map((datum) => datum.tokens))).slice(0, 16),
    targets: targets.length,
    logprobs: Array.from({ length: count }, (_, i) => rounded(targets[Math.floor((i * targets.length) / count)])),
  };
}

/** What a model at a checkpoint makes of a few sequences; stored when the checkpoint is made. */
export interface Probe {
  schema: 'astroflow.probe/1';
  tokens: number[][];
  pass: ForwardPass;
}

/** Enough to know a checkpoint by, and little beside the batch it is cut from. */
const PROBE_TOKENS = 512;

/** The first sequences of a batch, the last of them cut off; every one has a target. */
export function probeTokens(data: readonly PassDatum[]): number[][] {
  const probe: number[][] = [];
  let left = PROBE_TOKENS;
  for (const { tokens } of data) {
    const part = tokens.slice(0, left);
    if (part.length < 2) continue;
    probe.push(part);
    left -= part.length;
  }
  return probe;
}

/** A probe's sequences as data, every token but the first a target. */
export function probeData(tokens: readonly number[][]): { tokens: number[]; weights: number[] }[] {
  return tokens.map((sequence) => ({ tokens: sequence, weights: sequence.map((_, at) => (at === 0 ? 0 : 1)) }));
}

/** |Δ log p| per token of two passes over one batch; 0 where there is nothing to compare. */
export function passGap(recorded: ForwardPass, seen: ForwardPass): { mean: number; max: number } {
  const gaps = recorded.logprobs.map((before, i) => {
    const after = seen.logprobs[i] ?? null;
    if (before === null || after === null) return before === after ? 0 : Number.POSITIVE_INFINITY;
    return Math.abs(after - before);
  });
  if (gaps.length === 0) return { mean: 0, max: 0 };
  return { mean: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length, max: Math.max(...gaps) };
}

/** Why training may not go on from a restored model, or null when it stands where the recorded one stood. */
export function resumeMismatch(recorded: ForwardPass, seen: ForwardPass, limits: ResumeLimits): string | null {
  const from = `checkpoint ${seen.checkpoint} (${seen.trainerState ?? 'the base model'})`;
  if (recorded.trainerState !== seen.trainerState) {
    return `${from}: the recorded pass began at ${recorded.trainerState ?? 'the base model'}, which is another state`;
  }
  if (recorded.batch !== seen.batch) {
    return (
      `${from}: the batch that follows it is not the recorded one, so rows would be skipped or doubled; has the ` +
      'program changed within the stage? Finish it with the version that began it'
    );
  }
  const { mean, max } = passGap(recorded, seen);
  if (mean <= limits.maxLogprobGap && max <= limits.maxTokenGap) return null;
  const [gap, bound, field] =
    mean <= limits.maxLogprobGap
      ? [max, limits.maxTokenGap, 'of one token (resume.maxTokenGap)']
      : [mean, limits.maxLogprobGap, 'per token (resume.maxLogprobGap)'];
  return (
    `${from} did not come back as it was: log-probabilities of the same batch differ from the recorded ones by ` +
    `${gap.toPrecision(3)}, more than ${bound} ${field}; does the trainer restore these weights, the optimiser's ` +
    "state, the same LoRA rank and precision? If that is its arithmetic's noise, raise the bound"
  );
}

function rounded(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? Math.round(value * 1e6) / 1e6 : null;
}
