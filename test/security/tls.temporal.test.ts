import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, connect as connectPlain, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporalTarget, withClient } from '../../src/cli/connection.ts';
import { createHome, type Home, homeFrom } from '../../src/cli/home.ts';
import { openWorkers } from '../../src/cli/worker.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { type Certificates, makeCertificates } from './certificates.ts';

let pipeline: Pipeline;
let folder: string;
let home: Home;
let certificates: Certificates;
/** The dev server behind TLS that demands a certificate of ours. */
let address: string;
/** Answers every call with an empty message, and remembers what came with it. */
let recorder: { address: string; seen: { authorization: string | undefined; extra: unknown }[] };
const servers: Server[] = [];
const sockets = new Set<Socket>();
const listen = async (server: Server) => {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'astroflow-tls-'));
  home = homeFrom({ ASTROFLOW_HOME: folder }, folder);
  createHome(home);
  certificates = makeCertificates(folder);
  const { ca, server } = certificates;
  const own = { key: readFileSync(server.key), cert: readFileSync(server.cert) };
  pipeline = await startPipeline();
  const [host, port] = pipeline.env.address.split(':');
  const front = createTlsServer(
    { ...own, ca: readFileSync(ca), requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] },
    (near) => {
      const far = connectPlain(Number(port), host);
      sockets.add(far);
      for (const [from, to] of [[near, far] as const, [far, near] as const]) {
        from.on('error', () => to.destroy());
        from.pipe(to);
      }
    },
  );
  address = await listen(front);
  const calls = createSecureServer(own);
  calls.on('stream', (stream, headers) => {
    recorder.seen.push({ authorization: headers.authorization, extra: headers['x-extra'] });
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.alloc(5));
  });
  recorder = { address: await listen(calls), seen: [] };
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  await pipeline?.close();
  rmSync(folder, { recursive: true, force: true });
});

const mutual = (): NodeJS.ProcessEnv => ({
  TEMPORAL_ADDRESS: address,
  TEMPORAL_TLS: 'true',
  TEMPORAL_TLS_SERVER_NAME: 'temporal.test',
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.ca,
  TEMPORAL_TLS_CLIENT_CERT_PATH: certificates.client.cert,
  TEMPORAL_TLS_CLIENT_KEY_PATH: certificates.client.key,
});

async function connects(env: NodeJS.ProcessEnv): Promise<{ client: boolean; worker: boolean }> {
  const target = temporalTarget(env, home);
  const works = (attempt: Promise<unknown>) =>
    attempt.then(
      () => true,
      (error) => {
        expect(String(error)).toContain('No Temporal server answers');
        return false;
      },
    );
  const namespace = () =>
    withClient(target, (client) => client.workflowService.describeNamespace({ namespace: 'default' }));
  const worker = () => openWorkers({ target, home, env, taskQueue: 'tls', graceMs: 100 }).then((open) => open.stop());
  const [client, served] = await Promise.all([works(namespace()), works(worker())]);
  return { client, worker: served };
}

describe('a server that demands a certificate', () => {
  it('is reached by commands and workers that have one, by variables', async () => {
    expect(await connects(mutual())).toEqual({ client: true, worker: true });
  });

  it('is reached by a profile of the CLI', async () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(
      file,
      [
        '[profile.secure]',
        `address = "${address}"`,
        'namespace = "default"',
        '[profile.secure.tls]',
        'server_name = "temporal.test"',
        `server_ca_cert_path = "${certificates.ca}"`,
        `client_cert_path = "${certificates.client.cert}"`,
        `client_key_path = "${certificates.client.key}"`,
      ].join('\n'),
    );
    const env = { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'secure' };
    expect(await connects(env)).toEqual({ client: true, worker: true });
  });

  it('is not reached without TLS, a certificate, trust in its authority, or its name', async () => {
    const certificate = ['TEMPORAL_TLS_CLIENT_CERT_PATH', 'TEMPORAL_TLS_CLIENT_KEY_PATH'];
    const [authority, name] = [['TEMPORAL_TLS_SERVER_CA_CERT_PATH'], ['TEMPORAL_TLS_SERVER_NAME']];
    const missing = [['TEMPORAL_TLS', ...certificate, ...authority, ...name], certificate, authority, name];
    // Each takes as long as a client tries.
    const reached = missing.map((names) =>
      connects(Object.fromEntries(Object.entries(mutual()).filter(([each]) => !names.includes(each)))),
    );
    expect(await Promise.all(reached)).toEqual(missing.map(() => ({ client: false, worker: false })));
  });
});

describe('an API key', () => {
  it('goes with every call of commands and workers, over TLS only, and so do further headers', async () => {
    const env = {
      TEMPORAL_ADDRESS: recorder.address,
      TEMPORAL_API_KEY: 'a-key-of-temporal-cloud',
      TEMPORAL_TLS_SERVER_NAME: 'temporal.test',
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.ca,
      TEMPORAL_GRPC_META_X_EXTRA: 'and-this',
    };
    const target = temporalTarget(env, home);
    expect(target.connectionOptions.tls).toBeTruthy();
    await withClient(target, (client) => client.workflowService.describeNamespace({ namespace: 'default' }));
    const fromClient = recorder.seen.splice(0);
    await openWorkers({ target, home, env, taskQueue: 'tls', graceMs: 100 })
      .then((open) => open.stop())
      .catch(() => {});
    const wanted = { authorization: 'Bearer a-key-of-temporal-cloud', extra: 'and-this' };
    for (const seen of [fromClient, recorder.seen]) {
      expect(seen.length).toBeGreaterThan(0);
      expect(seen).toEqual(seen.map(() => wanted));
    }
  });
});
