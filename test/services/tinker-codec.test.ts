import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { json, type Pass, proto } from '../../src/services/tinker/codec.ts';
import { decodeForwardBackward, encodeForwardBackward } from '../../src/services/tinker/proto-passes.ts';
import { decodeSample } from '../../src/services/tinker/proto-sample.ts';
import {
  DTYPE_BFLOAT16,
  DTYPE_FLOAT32,
  DTYPE_INT32,
  DTYPE_INT64,
  messages,
} from '../../src/services/tinker/proto-schema.ts';
import { fromBytes, toBytes } from '../../src/services/tinker/tensor-bytes.ts';

/** What the official SDK's module wrote (`test/fixtures/tinker/make.py`). */
const golden: Record<string, string> = JSON.parse(readFileSync('test/fixtures/tinker/golden.json', 'utf8'));
const bytes = (name: string) => new Uint8Array(Buffer.from(golden[name] ?? '', 'hex'));

const float32 = (data: number[], shape = [data.length]) => ({ data, dtype: 'float32' as const, shape });
const text = { chunks: [{ type: 'encoded_text' as const, tokens: [1, 70_000, 3] }] };
const pass: Pass = {
  modelId: 'm',
  seqId: 7,
  forwardOnly: false,
  input: {
    loss_fn: 'ppo',
    loss_fn_config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2 },
    data: [
      {
        model_input: text,
        loss_fn_inputs: {
          target_tokens: { data: [70_000, 3, 4], dtype: 'int64', shape: [3] },
          weights: float32([0, 0.5, 1]),
        },
      },
      {
        model_input: text,
        loss_fn_inputs: {
          weights: {
            ...float32([0.25, 0.75], [3, 2]),
            sparse_crow_indices: [0, 1, 1, 2],
            sparse_col_indices: [1, 0],
          },
        },
      },
    ],
  },
};

/** A request as any reader of the schema sees it. */
function read(request: Uint8Array) {
  const type = messages.ForwardBackwardRequest;
  return type.toObject(type.decode(request), { longs: Number, bytes: Array, defaults: true });
}

describe('the protobuf of the official SDK', () => {
  it('is what a pass over data is written as', () => {
    expect(read(encodeForwardBackward(pass))).toEqual(read(bytes('request')));
    expect(read(encodeForwardBackward({ ...pass, forwardOnly: true }))).toMatchObject({ forward_only: true });
  });

  it('is read as the outputs of each datum, whatever their type and shape', () => {
    expect(decodeForwardBackward(bytes('forward_backward_output'))).toEqual({
      loss_fn_output_type: 'ArrayRecord',
      loss_fn_outputs: [
        { logprobs: float32([-1, -2.5]), elementwise_loss: float32([0.5, 0.25]) },
        { logprobs: float32([-0.125]), elementwise_loss: float32([3]) },
        { logprobs: float32([-4, -5, -6, -7], [2, 2]), ids: { data: [9, -9], dtype: 'int64', shape: [2] } },
      ],
      metrics: { 'loss:sum': 1.5 },
    });
  });

  it('is read as samples, with null where there is no log-probability', () => {
    expect(decodeSample(bytes('sample_response'))).toEqual({
      sequences: [
        { tokens: [5, 6], logprobs: [-0.5, -1], stop_reason: 'length' },
        { tokens: [7], stop_reason: 'stop' },
      ],
      prompt_logprobs: [null, -2, -3.5],
      topk_prompt_logprobs: [
        null,
        [
          [11, -1],
          [12, -2],
        ],
        [[13, -0.25]],
      ],
      prompt_cache_hit_tokens: 2,
    });
  });
});

const token = fc.nat(2 ** 31 - 1);
const float = fc.float({ noNaN: true });

describe('numbers as bytes', () => {
  it.each([
    [DTYPE_FLOAT32, float],
    [DTYPE_INT32, fc.integer()],
    [DTYPE_INT64, fc.maxSafeInteger()],
  ] as [number, fc.Arbitrary<number>][])('come back as they went (type %s)', (dtype, number) => {
    fc.assert(
      fc.property(fc.array(number), (values) => {
        expect(fromBytes(toBytes(values, dtype), dtype)).toEqual(values);
      }),
    );
  });

  it('read the upper half of a float', () => {
    expect(fromBytes(new Uint8Array([0x80, 0x3f, 0x00, 0xc0]), DTYPE_BFLOAT16)).toEqual([1, -2]);
    expect(() => fromBytes(new Uint8Array(2), 9)).toThrow(/unknown type 9/);
  });
});

describe('a pass over data', () => {
  it('loses nothing in protobuf', () => {
    const row = fc.array(fc.tuple(token, float), { minLength: 1 }).map((targets) => ({
      model_input: { chunks: [{ type: 'encoded_text' as const, tokens: targets.map(([id]) => id) }] },
      loss_fn_inputs: {
        target_tokens: { data: targets.map(([id]) => id), dtype: 'int64' as const, shape: [targets.length] },
        weights: float32(targets.map(([, weight]) => weight)),
      },
    }));
    fc.assert(
      fc.property(fc.array(row), fc.string(), fc.nat(2 ** 31 - 1), (data, loss_fn, seqId) => {
        const type = messages.ForwardBackwardRequest;
        const written = encodeForwardBackward({ ...pass, seqId, input: { data, loss_fn } });
        // biome-ignore lint/suspicious/noExplicitAny: a decoded message has no type.
        const found = type.toObject(type.decode(written), { longs: Number, defaults: true }) as any;
        expect([found.model_id, found.seq_id, found.loss_fn]).toEqual(['m', seqId, loss_fn]);
        // biome-ignore lint/suspicious/noExplicitAny: as above.
        const rows = found.data.map(({ model_input, loss_fn_inputs }: any) => ({
          tokens: fromBytes(model_input[0].encoded_text.tokens, DTYPE_INT32),
          targets: fromBytes(loss_fn_inputs.target_tokens.dense, DTYPE_INT64),
          weights: fromBytes(loss_fn_inputs.weights.dense, DTYPE_FLOAT32),
        }));
        expect(rows).toEqual(
          data.map(({ model_input: { chunks }, loss_fn_inputs }) => ({
            tokens: chunks[0]?.tokens,
            targets: loss_fn_inputs.target_tokens.data,
            weights: loss_fn_inputs.weights.data,
          })),
        );
        // Enough to keep a request below the server's limit.
        const estimate = data.reduce((sum, datum) => sum + proto.datumBytes(datum), 0);
        expect(written.length).toBeLessThanOrEqual(estimate + 30 + 3 * loss_fn.length);
      }),
    );
  });

  it('goes to one path in protobuf and to two in JSON', () => {
    const paths = [json, proto].map((codec) =>
      [true, false].map((forwardOnly) => codec.pass({ ...pass, forwardOnly })),
    );
    expect(paths.flat().map(({ path }) => path)).toEqual([
      '/forward',
      '/forward_backward',
      '/forward_backward',
      '/forward_backward',
    ]);
  });
});
