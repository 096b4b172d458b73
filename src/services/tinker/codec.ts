import { type Body, jsonBody, PROTOBUF } from './http.ts';
import { decodeForwardBackward, encodeForwardBackward } from './proto-passes.ts';
import { decodeSample } from './proto-sample.ts';
import type { ForwardBackwardInput, ForwardBackwardOutput, SampleOutput, TinkerDatum } from './protocol.ts';

export interface Pass {
  modelId: string;
  seqId: number;
  input: ForwardBackwardInput;
  /** No gradient. */
  forwardOnly: boolean;
}

/** How large messages travel. Everything else of the API is JSON in both formats. */
export interface Codec {
  /** Whether results are asked for as protobuf. They are read in either form, as the server sends them. */
  wantsProtobuf: boolean;
  pass(pass: Pass): { path: string; body: Body };
  /** About how many bytes a datum takes in a request. */
  datumBytes(datum: TinkerDatum): number;
}

export const json: Codec = {
  wantsProtobuf: false,
  pass({ modelId, seqId, input, forwardOnly }) {
    const type = forwardOnly ? 'forward' : 'forward_backward';
    const named = forwardOnly ? { forward_input: input } : { forward_backward_input: input };
    return { path: `/${type}`, body: jsonBody({ model_id: modelId, seq_id: seqId, ...named, type }) };
  },
  datumBytes: (datum) => JSON.stringify(datum).length,
};

/** A message's fields around the numbers: names, types, shapes. */
const DATUM_OVERHEAD_BYTES = 128;

export const proto: Codec = {
  wantsProtobuf: true,
  pass: (pass) => ({
    path: '/forward_backward',
    body: { contentType: PROTOBUF, content: encodeForwardBackward(pass) },
  }),
  datumBytes({ model_input, loss_fn_inputs }) {
    const input = model_input.chunks.map((part) => (part.type === 'image' ? part.data.length : 4 * part.tokens.length));
    const tensors = Object.values(loss_fn_inputs).map(({ data, dtype }) => (dtype === 'int64' ? 8 : 4) * data.length);
    return [...input, ...tensors].reduce((sum, bytes) => sum + bytes, DATUM_OVERHEAD_BYTES);
  },
};

export const decoders: {
  pass: (bytes: Uint8Array) => ForwardBackwardOutput;
  sample: (bytes: Uint8Array) => SampleOutput;
} = { pass: decodeForwardBackward, sample: decodeSample };
