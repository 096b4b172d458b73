import type { ForwardBackwardOutput, TinkerDatum } from './protocol.ts';

/** Splits a batch in order; a datum above the byte limit goes alone, and the server decides. */
export function chunk(
  data: readonly TinkerDatum[],
  { maxDatums, maxBytes }: { maxDatums: number; maxBytes: number },
  bytesOf: (datum: TinkerDatum) => number,
): TinkerDatum[][] {
  const chunks: TinkerDatum[][] = [];
  let bytes = 0;
  for (const datum of data) {
    const size = bytesOf(datum);
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
 * The results of a batch's chunks as one. Metrics combine as the suffix of their name says; averages count each chunk
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
  const type = outputs[0]?.loss_fn_output_type;
  return {
    ...(type === undefined ? {} : { loss_fn_output_type: type }),
    loss_fn_outputs: outputs.flatMap((output) => output.loss_fn_outputs),
    metrics,
  };
}

type Part = { value: number; size: number };

const total = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0);
const mean = (parts: Part[]) =>
  total(parts.map(({ value, size }) => value * size)) / total(parts.map(({ size }) => size));

function reduce(reduction: string, parts: Part[]): number | undefined {
  const values = parts.map((part) => part.value);
  switch (reduction) {
    case 'sum':
      return total(values);
    case 'mean':
      return mean(parts);
    case 'min':
      return Math.min(...values);
    case 'max':
      return Math.max(...values);
    case 'slack':
      return Math.max(...values) - mean(parts);
    default:
      return new Set(values).size === 1 ? values[0] : undefined;
  }
}
