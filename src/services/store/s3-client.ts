import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { S3Location } from './location.ts';

/** How long, and how often, a request is tried; times in milliseconds. */
export interface S3Patience {
  /** To get a connection. */
  connectMs: number;
  /** From the start of a request to the head of its answer, its body on the way up included. */
  requestMs: number;
  /** Without a byte on the connection. */
  idleMs: number;
  /** For all attempts of one request, and for reading its answer. */
  operationMs: number;
  /** Of a request. What still fails then is told to Temporal, which tries the activity again. */
  attempts: number;
}

/**
 * Our own: a part of 16 MiB gets through within `requestMs` at 1.2 Mbit/s. The SDK pauses between attempts: up to 0.1 s
 * and twice as long each time, from 0.5 s where the server says that it is busy; never more than 20 s.
 */
export const usualPatience: S3Patience = {
  connectMs: 5_000,
  requestMs: 120_000,
  idleMs: 60_000,
  operationMs: 600_000,
  attempts: 5,
};

/** Slots of a worker's queues (32 + 64 and some), each with one request. */
const mostConnections = 128;

/**
 * Credentials, region and endpoint come from the SDK's own variables and files. A bucket's name goes into the path where
 * an endpoint is set, since few servers of one's own have a DNS name for each bucket.
 */
export function createClient(location: S3Location, patience: S3Patience, env: NodeJS.ProcessEnv): S3Client {
  tidy(env);
  const hasEndpoint = Boolean(env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL);
  const { addressing } = location;
  const agent = { keepAlive: true, maxSockets: mostConnections };
  return new S3Client({
    forcePathStyle: addressing === null ? hasEndpoint : addressing === 'path',
    maxAttempts: patience.attempts,
    retryMode: 'standard',
    // What is read is held against our own sha256, which every server keeps.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: patience.connectMs,
      requestTimeout: patience.requestMs,
      throwOnRequestTimeout: true,
      socketTimeout: patience.idleMs,
      httpAgent: agent,
      httpsAgent: agent,
    }),
  });
}

/** Changes what the SDK reads of the process's environment. */
function tidy(env: NodeJS.ProcessEnv): void {
  // Compose files pass what is not set as an empty text, which the SDK would take for a key or a region.
  for (const [name, value] of Object.entries(env)) if (name.startsWith('AWS_') && value === '') delete env[name];
  // Versions after the pinned one will want a newer Node; people who run commands need not read that each time.
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
}
