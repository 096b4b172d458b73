import type { Payload } from '@temporalio/common';
import { z } from 'zod';

/** A body that is not what the codec server protocol says. */
export class PayloadsError extends Error {
  override name = 'PayloadsError';
}

/** More than any event or page of a history has. */
const maxPayloads = 10_000;

/** Protobuf's JSON of a payload: bytes are base64. What else a payload may have is not encrypted, and passes through. */
const body = z.object({
  payloads: z
    .array(z.looseObject({ metadata: z.record(z.string(), z.string()).nullish(), data: z.string().nullish() }))
    .max(maxPayloads)
    // Protobuf's JSON leaves empty lists out.
    .default([]),
});

/** @throws PayloadsError */
export function payloadsFrom(text: string): Payload[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new PayloadsError('The body is not JSON.');
  }
  const read = body.safeParse(json);
  if (!read.success)
    throw new PayloadsError(
      `The body must be {"payloads": [{"metadata": {…}, "data": "…"}, …]}, at most ${maxPayloads}.`,
    );
  return read.data.payloads.map(({ metadata, data, ...rest }) => ({
    ...rest,
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, bytes(value)])),
    ...(data != null && { data: bytes(data) }),
  }));
}

export function payloadsToJson(payloads: readonly Payload[]): string {
  return JSON.stringify({
    payloads: payloads.map(({ metadata, data, ...rest }) => ({
      ...rest,
      metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)])),
      ...(data != null && { data: base64(data) }),
    })),
  });
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}
