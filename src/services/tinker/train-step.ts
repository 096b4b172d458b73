import { chunk, combine } from './batch.ts';
import type { TinkerClient } from './client.ts';
import type { ForwardBackwardInput, ForwardBackwardOutput, TinkerAdamParams } from './protocol.ts';

export interface TrainStep {
  modelId: string;
  /** The first free sequence number. */
  seqId: number;
  input: ForwardBackwardInput;
  adam: TinkerAdamParams;
  /** Smaller chunks, for tests. */
  maxDatums?: number;
}

export interface TrainStepOutput {
  output: ForwardBackwardOutput;
  /** Of the optimiser. */
  metrics: Record<string, number>;
  nextSeqId: number;
}

/**
 * Gradients of a batch, in as many requests as it needs, and one optimiser step. Everything is submitted before
 * anything is waited for, so the server needs no round trip between them; `seq_id` keeps the order.
 */
export async function trainStep(client: TinkerClient, step: TrainStep, signal: AbortSignal): Promise<TrainStepOutput> {
  // When one part fails, nobody needs to keep asking for the others.
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  try {
    let seqId = step.seqId;
    const gradients = [];
    for (const data of chunk(step.input.data, step.maxDatums)) {
      gradients.push(await client.forwardBackward(step.modelId, seqId++, { ...step.input, data }, both));
    }
    const optimizer = await client.optimStep(step.modelId, seqId++, step.adam, both);
    // Gradients first: when one of them failed, the optimiser's own error is only its echo.
    const outputs = await Promise.all(gradients.map((pending) => pending.result()));
    const { metrics } = await optimizer.result();
    return { output: combine(outputs), metrics: metrics ?? {}, nextSeqId: seqId };
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}
