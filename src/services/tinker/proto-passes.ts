import type { Pass } from './codec.ts';
import { DTYPE_FLOAT32, DTYPE_INT32, DTYPE_INT64, messages } from './proto-schema.ts';
import type { ForwardBackwardOutput, LossOutput, ModelInput, TensorData, TinkerDatum } from './protocol.ts';
import { fromBytes, sizeOf, toBytes } from './tensor-bytes.ts';

/** Forward-backward passes in protobuf. */

export function encodeForwardBackward({ modelId, seqId, input, forwardOnly }: Pass): Uint8Array<ArrayBuffer> {
  const config = Object.entries(input.loss_fn_config ?? {});
  const message = messages.ForwardBackwardRequest.fromObject({
    model_id: modelId,
    seq_id: seqId,
    data: input.data.map(toDatum),
    loss_fn: input.loss_fn,
    // Both: older servers read the first, newer ones the second.
    loss_fn_config: Object.fromEntries(config),
    loss_fn_config_v2: Object.fromEntries(config.map(([name, number]) => [name, { number }])),
    forward_only: forwardOnly,
  });
  return new Uint8Array(messages.ForwardBackwardRequest.encode(message).finish());
}

const toDatum = ({ model_input, loss_fn_inputs }: TinkerDatum) => ({
  model_input: model_input.chunks.map(toChunk),
  loss_fn_inputs: Object.fromEntries(Object.entries(loss_fn_inputs).map(([name, tensor]) => [name, toTensor(tensor)])),
});

function toChunk(chunk: ModelInput['chunks'][number]) {
  if (chunk.type === 'encoded_text') return { encoded_text: { tokens: toBytes(chunk.tokens, DTYPE_INT32) } };
  const { data, format, expected_tokens } = chunk;
  const image = { data: Buffer.from(data, 'base64'), format };
  return { image: expected_tokens === undefined ? image : { ...image, expected_tokens } };
}

function toTensor({ data, dtype, shape, sparse_crow_indices, sparse_col_indices }: TensorData) {
  const type = dtype === 'int64' ? DTYPE_INT64 : DTYPE_FLOAT32;
  const rest = { dtype: type, shape: shape ?? [] };
  if (sparse_crow_indices === undefined || sparse_col_indices === undefined)
    return { dense: toBytes(data, type), ...rest };
  return {
    sparse_csr: {
      values: toBytes(data, type),
      crow_indices: toBytes(sparse_crow_indices, DTYPE_INT64),
      col_indices: toBytes(sparse_col_indices, DTYPE_INT64),
    },
    ...rest,
  };
}

interface BatchedTensor {
  data: Uint8Array;
  /** Where each datum begins and the last one ends, in bytes. */
  offsets: Uint8Array;
  dtype: number;
  trailing_shape: number[];
}

interface Output {
  loss_fn_output_type: string;
  loss_fn_outputs: { fields: Record<string, BatchedTensor>; num_datums: number }[];
  metrics: Record<string, number>;
}

/** The records' datums in order, each with its part of every field. */
export function decodeForwardBackward(bytes: Uint8Array): ForwardBackwardOutput {
  const type = messages.ForwardBackwardOutput;
  const output = type.toObject(type.decode(bytes), { longs: Number, defaults: true }) as Output;
  return {
    // A class path on some servers; the name is its last part.
    loss_fn_output_type: output.loss_fn_output_type.slice(output.loss_fn_output_type.lastIndexOf(':') + 1),
    loss_fn_outputs: output.loss_fn_outputs.flatMap(({ fields, num_datums }) => {
      const named = Object.entries(fields).map(([name, tensor]) => [name, toTensors(tensor)] as const);
      const count = num_datums || (named[0]?.[1].length ?? 0);
      return Array.from({ length: count }, (_, row) => {
        const datum = named.flatMap(([name, tensors]) => (tensors[row] === undefined ? [] : [[name, tensors[row]]]));
        return Object.fromEntries(datum) as unknown as LossOutput;
      });
    }),
    metrics: output.metrics,
  };
}

function toTensors({ data, offsets, dtype, trailing_shape }: BatchedTensor): TensorData[] {
  const bounds = fromBytes(offsets, DTYPE_INT64);
  const values = fromBytes(data, dtype);
  const size = sizeOf(dtype);
  const width = trailing_shape.reduce((product, length) => product * length, 1);
  const isInteger = dtype === DTYPE_INT64 || dtype === DTYPE_INT32;
  return bounds.slice(1).map((end, row) => {
    const part = values.slice((bounds[row] ?? 0) / size, end / size);
    const shape = [width === 0 ? 0 : part.length / width, ...trailing_shape];
    return { data: part, dtype: isInteger ? 'int64' : 'float32', shape };
  });
}
