import { type Connection, type EnvOr, resolveConnection, startHint } from './address.ts';
import { ServiceError } from './errors.ts';
import { unlessAborted } from './tinker/abort.ts';
import {
  type Capabilities,
  connectTinker,
  type TinkerClient,
  TinkerError,
  type TinkerOptions,
} from './tinker/index.ts';

/** How the pipeline uses the Tinker client: addresses and keys as configured, errors as the activities know them. */

export interface TinkerSection {
  baseUrl: EnvOr;
  apiKey?: EnvOr | undefined;
  timeoutMs: number;
  /** Instead of what is found out about the server. */
  capabilities?: Partial<Capabilities> | undefined;
}

export interface Link {
  connection: Connection;
  /** Knows what its server can. */
  client: TinkerClient;
}

/**
 * The client of a section's address, which is asked once what it can. The address may have moved since the last call:
 * then everything starts anew there.
 *
 * @param path of the section, such as `policy.trainer`; errors name it
 */
export function tinkerLink(
  section: TinkerSection,
  env: NodeJS.ProcessEnv,
  { path, service }: { path: string; service: string },
  overrides: Partial<TinkerOptions> = {},
): (signal: AbortSignal) => Promise<Link> {
  let current: { connection: Connection; link: Promise<Link> } | null = null;

  async function open(connection: Connection): Promise<Link> {
    const { timeoutMs, capabilities } = section;
    const options = { ...connection, service, hint: startHint, timeoutMs, capabilities, ...overrides };
    // Shared by all callers, so no single caller's cancellation may end it; its deadline does.
    return { connection, client: await connectTinker(options, new AbortController().signal) };
  }

  return async (signal) => {
    const connection = resolveConnection(section, env, path);
    const same = current?.connection.baseUrl === connection.baseUrl && current.connection.apiKey === connection.apiKey;
    if (current === null || !same) {
      const opened = { connection, link: open(connection) };
      opened.link.catch(() => {
        if (current === opened) current = null;
      });
      current = opened;
    }
    return unlessAborted(current.link, signal);
  };
}

/** Waiting longer for what is pending is the caller's choice, as it is for what may have been executed. */
export function toServiceError(error: unknown): unknown {
  if (!(error instanceof TinkerError)) return error;
  const { kind, message, service, status, retryAfterMs, timedOut } = error;
  return new ServiceError(kind === 'pending' ? 'ambiguous' : kind, message, {
    service,
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    timedOut,
    cause: error,
  });
}

export async function withServiceErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toServiceError(error);
  }
}
