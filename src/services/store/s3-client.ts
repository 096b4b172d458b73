import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { S3Location } from './location.ts';

/** Deadlines of requests, in milliseconds. */
export interface S3Timings {
  /** To get a connection. */
  connectMs: number;
  /** From the start of a request to the head of its answer, its body on the way up included. */
  requestMs: number;
  /** Without a byte on the connection. */
  idleMs: number;
  /** For all attempts of one request, and for reading its answer. */
  operationMs: number;
}

/** Our own: a part of 16 MiB gets through within `requestMs` at 1.2 Mbit/s. */
export const usualTimings: S3Timings = {
  connectMs: 5_000,
  requestMs: 120_000,
  idleMs: 60_000,
  operationMs: 600_000,
};

/**
 * Attempts of a request: the SDK's back-off between them doubles up to 20 s. What still fails then is told to
 * Temporal, which tries the activity again.
 */
export const attempts = 5;

/** Slots of a worker's queues (32 + 64 and some), each with one request. */
const mostConnections = 128;

/**
 * Credentials, region and endpoint come from the SDK's own variables and files. A bucket's name goes into the path where
 * an endpoint is set, since few servers of one's own have a DNS name for each bucket.
 */
export function createClient(location: S3Location, timings: S3Timings, env: NodeJS.ProcessEnv): S3Client {
  // Versions after the pinned one will want a newer Node; people who run commands need not read that each time.
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const hasEndpoint = Boolean(env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL);
  const { addressing } = location;
  const agent = { keepAlive: true, maxSockets: mostConnections };
  return new S3Client({
    forcePathStyle: addressing === null ? hasEndpoint : addressing === 'path',
    maxAttempts: attempts,
    retryMode: 'standard',
    // What is read is held against our own sha256, which every server keeps.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: timings.connectMs,
      requestTimeout: timings.requestMs,
      throwOnRequestTimeout: true,
      socketTimeout: timings.idleMs,
      httpAgent: agent,
      httpsAgent: agent,
    }),
  });
}
