import type { ForwardBackwardOutput, TinkerDatum } from './protocol.ts';

/** Most that one forward_backward request carries; what the hosted service allows. */
export const MAX_CHUNK_DATUMS = 1024;
export const MAX_CHUNK_BYTES = 5_000_000;

/** Splits a batch in order; a datum above the byte limit goes alone, and the server decides. */
export function chunk(
  data: readonly TinkerDatum[],
  maxDatums = MAX_CHUNK_DATUMS,
  maxBytes = MAX_CHUNK_BYTES,
): TinkerDatum[][] {
  const chunks: TinkerDatum[][] = [];
  let bytes = 0;
  for (const datum of data) {
    const size = JSON.stringify(datum).length;
    const current = chunks.at(-1);
    if (current === undefined || current.length >= maxDatums || bytes + size > maxBytes) {
      chunks.push([datum]);
      bytes = size;
    } else {
      current.push(datum);
      bytes += size;
    }
  }
  return chunks;
}

/**
 * The results of a batch's chunks as one. Metrics combine as the suffix of their name says; a mean counts each chunk
 * by its datums. A metric with another suffix is kept only where all chunks agree on it.
 */
export function combine(outputs: readonly ForwardBackwardOutput[]): ForwardBackwardOutput {
  const sizes = outputs.map((output) => output.loss_fn_outputs.length);
  const metrics: Record<string, number> = {};
  for (const name of new Set(outputs.flatMap((output) => Object.keys(output.metrics)))) {
    const parts = outputs.flatMap(({ metrics: { [name]: value } }, at) =>
      value === undefined ? [] : [{ value, size: sizes[at] ?? 0 }],
    );
    const value = reduce(name.slice(name.lastIndexOf(':') + 1), parts);
    if (value !== undefined) metrics[name] = value;
  }
  return { loss_fn_outputs: outputs.flatMap((output) => output.loss_fn_outputs), metrics };
}

function reduce(reduction: string, parts: { value: number; size: number }[]): number | undefined {
  const values = parts.map((part) => part.value);
  const total = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0);
  switch (reduction) {
    case 'sum':
      return total(values);
    case 'mean':
      return total(parts.map(({ value, size }) => value * size)) / total(parts.map(({ size }) => size));
    case 'min':
      return Math.min(...values);
    case 'max':
      return Math.max(...values);
    default:
      return new Set(values).size === 1 ? values[0] : undefined;
  }
}
