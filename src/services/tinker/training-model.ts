import { chunk, combine } from './batch.ts';
import type { TinkerClient } from './client.ts';
import { TinkerError } from './errors.ts';
import type { ForwardBackwardInput, ForwardBackwardOutput, TinkerAdamParams } from './protocol.ts';
import type { Pending } from './transport.ts';

export interface StepOutput {
  output: ForwardBackwardOutput;
  /** Of the optimiser. */
  metrics: Record<string, number>;
}

export type TrainingModel = ReturnType<typeof trainingModel>;

/**
 * The training requests of one model, in order: each takes the next `seq_id` and is sent once the one before it was
 * accepted, without waiting for its result. A request that was refused leaves its number to the next one.
 *
 * Where nobody can know whether a request was executed, the model is in doubt, and every later request is refused
 * (`ambiguous`): make a new model and load the last checkpoint.
 *
 * @param nextSeqId the first free number; 1 for a new model
 */
export function trainingModel(
  client: TinkerClient,
  { modelId, nextSeqId = 1 }: { modelId: string; nextSeqId?: number },
) {
  let next = nextSeqId;
  let doubt: unknown = null;
  let last: Promise<unknown> = Promise.resolve();

  function numbered<T>(submit: (seqId: number) => Promise<T>): Promise<T> {
    const turn = last.then(async () => {
      if (doubt !== null) throw inDoubt(modelId, doubt);
      try {
        const accepted = await submit(next);
        next += 1;
        return accepted;
      } catch (error) {
        if (mayHaveBeenAccepted(error)) doubt = error;
        throw error;
      }
    });
    last = turn.catch(() => {});
    return turn;
  }

  const chunksOf = (input: ForwardBackwardInput): ForwardBackwardInput[] =>
    chunk(input.data, client.limits, client.datumBytes).map((data) => ({ ...input, data }));

  async function pass(
    input: ForwardBackwardInput,
    send: TinkerClient['forward'],
    signal: AbortSignal,
  ): Promise<Pending<ForwardBackwardOutput>[]> {
    const pending = [];
    for (const part of chunksOf(input)) pending.push(await numbered((seqId) => send(modelId, seqId, part, signal)));
    return pending;
  }

  const together = async (parts: Pending<ForwardBackwardOutput>[]) =>
    combine(await Promise.all(parts.map((part) => part.result())));

  return {
    modelId,
    /** The first free number. */
    get nextSeqId() {
      return next;
    },

    /** Only before anything else was done with the model. */
    async loadWeights(path: string, { optimizer }: { optimizer: boolean }, signal: AbortSignal): Promise<void> {
      await (await numbered((seqId) => client.loadWeights(modelId, seqId, path, optimizer, signal))).result();
    },

    /** Losses and log-probabilities without a gradient, of a batch of any size. */
    forward: async (input: ForwardBackwardInput, signal: AbortSignal): Promise<ForwardBackwardOutput> =>
      together(await pass(input, client.forward, signal)),

    /** Adds the gradients of a batch of any size. Resolves once all of it was accepted; `result` waits for it. */
    async forwardBackward(input: ForwardBackwardInput, signal: AbortSignal) {
      const parts = await pass(input, client.forwardBackward, signal);
      return { result: () => together(parts) };
    },

    /** Applies the gradients. Resolves once it was accepted. */
    optimStep: (adam: TinkerAdamParams, signal: AbortSignal) =>
      numbered((seqId) => client.optimStep(modelId, seqId, adam, signal)),

    /**
     * Gradients of a batch, in as many requests as it needs, and one optimiser step. Everything is submitted before
     * anything is waited for, so the server needs no round trip between them.
     */
    async step(input: ForwardBackwardInput, adam: TinkerAdamParams, signal: AbortSignal): Promise<StepOutput> {
      // When one part fails, nobody needs to keep asking for the others.
      const failed = new AbortController();
      const both = AbortSignal.any([signal, failed.signal]);
      const before = next;
      try {
        const gradients = await pass(input, client.forwardBackward, both);
        const optimizer = await numbered((seqId) => client.optimStep(modelId, seqId, adam, both));
        // Gradients first: when one of them failed, the optimiser's own error is only its echo.
        const output = await together(gradients);
        const { metrics } = await optimizer.result();
        return { output, metrics: metrics ?? {} };
      } catch (error) {
        failed.abort(error);
        // Part of it was accepted, and the optimiser may have applied that part.
        if (next > before) doubt ??= error;
        throw error;
      }
    },

    /** Weights and optimiser state; gives the path to load them from. */
    async saveWeights(name: string, { ttlSeconds }: { ttlSeconds?: number }, signal: AbortSignal): Promise<string> {
      const save = await numbered((seqId) => client.saveWeights(modelId, seqId, name, ttlSeconds, signal));
      return (await save.result()).path;
    },

    /** Weights to sample from; gives their path. */
    async saveWeightsForSampler(
      name: string,
      { ttlSeconds }: { ttlSeconds?: number },
      signal: AbortSignal,
    ): Promise<string> {
      const save = await numbered((seqId) => client.saveWeightsForSampler(modelId, seqId, name, signal, ttlSeconds));
      return (await save.result()).path;
    },

    /** Weights to sample from that are kept nowhere; gives the sampling session. */
    async publishForSampling(samplingSessionSeqId: number, signal: AbortSignal): Promise<string> {
      const save = await numbered((seqId) => client.publishForSampling(modelId, seqId, samplingSessionSeqId, signal));
      return (await save.result()).sampling_session_id;
    },

    async unload(signal: AbortSignal): Promise<void> {
      await (await client.unloadModel(modelId, signal)).result();
    },
  };
}

/** Everything but a clear refusal: a caller that gave up, too. */
function mayHaveBeenAccepted(error: unknown): boolean {
  return !(error instanceof TinkerError) || error.kind === 'ambiguous' || error.kind === 'pending';
}

function inDoubt(modelId: string, cause: unknown): TinkerError {
  const message =
    `model ${modelId} is in doubt, since an earlier request may or may not have been executed ` +
    `(${cause instanceof Error ? cause.message : cause}): make a new model and load the last checkpoint`;
  return new TinkerError('ambiguous', message, { service: 'the Tinker client', cause });
}
