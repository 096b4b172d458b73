import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import type { CodecKey } from './keys.ts';
import { createPayloadCodec } from './payload-codec.ts';

/** For clients, workers and the workflow bundle. Without keys nothing is changed but the message of what stays closed. */
export function createDataConverter(keys: readonly CodecKey[]): DataConverter {
  return {
    payloadCodecs: [createPayloadCodec(keys)],
    ...(keys.length > 0 && { failureConverterPath: fileURLToPath(new URL('failure-converter.cjs', import.meta.url)) }),
  };
}
