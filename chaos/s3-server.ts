import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { packageRoot, venvPython } from '../src/cli/paths.ts';
import { choosePort } from '../src/cli/ports.ts';
import { type Child, lastLines, startChild } from '../src/cli/processes.ts';

/** An S3 server in a process of its own, on loopback. */
export interface S3Server {
  child: Child;
  url: string;
  /** What the AWS SDK reads to find it. */
  env: Record<string, string>;
  /** For whoever looks at objects behind a store's back. */
  client: S3Client;
  /** A new, empty bucket; its name. */
  newBucket(): Promise<string>;
}

const startupMs = 60_000;
const pollMs = 50;

/**
 * Starts MiniStack, whose S3 answers one request after the other, so that conditional writes are atomic, and holds
 * what it gets against its checksums. Objects are in its memory.
 */
export async function startS3Server(folder: string): Promise<S3Server> {
  mkdirSync(folder, { recursive: true });
  const port = await choosePort();
  const logFile = join(folder, 's3.log');
  const child = startChild({
    name: 's3',
    command: venvPython(),
    args: ['-m', 'ministack'],
    cwd: packageRoot,
    logFile,
    env: { ...process.env, BIND_HOST: '127.0.0.1', GATEWAY_PORT: `${port}`, TMPDIR: folder, LOG_LEVEL: 'WARNING' },
  });
  const url = `http://127.0.0.1:${port}`;
  // As the store does; see there.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new S3Client({ endpoint: url, region: 'us-east-1', forcePathStyle: true, credentials });
  let buckets = 0;
  await answering(url, child);
  return {
    child,
    url,
    env: {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_S3: url,
    },
    client,
    async newBucket() {
      const Bucket = `bucket-${++buckets}`;
      await client.send(new CreateBucketCommand({ Bucket }));
      return Bucket;
    },
  };
}

async function answering(url: string, child: Child): Promise<void> {
  const deadline = AbortSignal.timeout(startupMs);
  while (!child.hasExited() && !deadline.aborted) {
    const answers = await fetch(`${url}/_ministack/health`, { signal: deadline }).then(
      (response) => response.ok,
      () => false,
    );
    if (answers) return;
    await sleep(pollMs);
  }
  await child.kill();
  throw new Error(`The S3 server did not start. Its log ends with:\n${lastLines(child.logFile)}`);
}
