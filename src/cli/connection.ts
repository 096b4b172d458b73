import {
  Client,
  type ClientInterceptors,
  Connection,
  type ConnectionOptions,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { createDataConverter } from '../services/codec/data-converter.ts';
import { readCodecKeys } from '../services/codec/keys.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { readServerFile } from './server-file.ts';

export interface Target {
  connectionOptions: ClientConnectConfig['connectionOptions'];
  namespace: string;
  /** For messages. */
  address: string;
  /** How payloads are written; encrypted where the environment has keys. */
  dataConverter: DataConverter;
  /** What traces need, where they are on. */
  interceptors?: ClientInterceptors;
}

/** No single call takes longer; the server itself answers one that waits for news every 20 s. */
export const callMs = 60_000;

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];
const inTime: Interceptor = (options, nextCall) =>
  nextCall({ ...options, deadline: options.deadline ?? Date.now() + callMs }) as ReturnType<Interceptor>;

const defaultAddress = '127.0.0.1:7233';

/**
 * Which server to talk to: what the environment says (the variables and profiles of the `temporal` CLI), else the
 * `demo` or `up` that runs in this folder, else the default profile, else the default address.
 */
export function temporalTarget(env: NodeJS.ProcessEnv, home: Home): Target {
  const dataConverter = dataConverterFrom(env);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({ overrideEnvVars: defined(env) });
  const explicit = env.TEMPORAL_ADDRESS || env.TEMPORAL_PROFILE || env.TEMPORAL_CONFIG_FILE;
  const local = explicit ? null : readServerFile(home.server);
  if (local !== null)
    return {
      connectionOptions: { address: local.address },
      namespace: 'default',
      address: local.address,
      dataConverter,
    };
  const address = connectionOptions.address ?? defaultAddress;
  return { connectionOptions: { ...connectionOptions, address }, namespace, address, dataConverter };
}

/** @throws CliError with all that is wrong with the keys */
export function dataConverterFrom(env: NodeJS.ProcessEnv): DataConverter {
  const { keys, problems } = readCodecKeys(env);
  if (problems.length > 0) throw new CliError(problems.join('\n'));
  return createDataConverter(keys);
}

/**
 * Runs something with a client of the server, and closes the connection after it. No call may be under way then: the
 * client would retry it on the closed connection and bring the process down.
 */
export async function withClient<T>(target: Target, run: (client: Client) => Promise<T>): Promise<T> {
  let open: Connected;
  try {
    open = await connect(target);
  } catch (error) {
    throw unreachable(target, error);
  }
  try {
    return await run(open.client);
  } finally {
    await open.close();
  }
}

/** The same, with null where no server answers: for what the store can tell as well. */
export async function withClientIfThere<T>(target: Target, run: (client: Client | null) => Promise<T>): Promise<T> {
  const open = await connect(target).catch(() => null);
  try {
    return await run(open?.client ?? null);
  } finally {
    await open?.close();
  }
}

export interface Connected {
  client: Client;
  close(): Promise<void>;
}

export async function connect(target: Target): Promise<Connected> {
  const connection = await Connection.connect({
    ...target.connectionOptions,
    connectTimeout: 5000,
    interceptors: [inTime, makeGrpcRetryInterceptor(defaultGrpcRetryOptions())],
  });
  return {
    client: new Client({
      connection,
      namespace: target.namespace,
      dataConverter: target.dataConverter,
      ...(target.interceptors && { interceptors: target.interceptors }),
    }),
    close: () => connection.close(),
  };
}

export function unreachable(target: Pick<Target, 'address'>, error: unknown): CliError {
  return new CliError(
    `No Temporal server answers at ${target.address} (${error instanceof Error ? error.message : String(error)}).\n` +
      'Start one with `npm run up`, or point TEMPORAL_ADDRESS or TEMPORAL_PROFILE at yours.',
  );
}

function defined(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
