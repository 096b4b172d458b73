import { boundedAnswer } from '../bounded-body.ts';
import type { HttpOptions } from './http.ts';
import type { ClientConfig, Page, ServerCapabilities, SessionContents, SessionOpened } from './protocol.ts';
import type { Transport } from './transport.ts';

/** As the official SDK would name its version. */
const SDK_VERSION = '0.38.0';
const OPENAPI_TIMEOUT_MS = 10_000;

export interface SessionOptions {
  tags?: string[];
  userMetadata?: Record<string, string>;
  projectId?: string;
}

/** The server itself, and sessions: the names under which models and samplers are made. */
export function serviceCalls({ json }: Transport, options: HttpOptions) {
  async function openSession(session: SessionOptions, signal: AbortSignal): Promise<SessionOpened> {
    const body = {
      tags: session.tags ?? [],
      user_metadata: session.userMetadata ?? null,
      sdk_version: SDK_VERSION,
      ...(session.projectId === undefined ? {} : { project_id: session.projectId }),
      type: 'create_session',
    };
    return json<SessionOpened>('POST', '/create_session', body, signal);
  }

  return {
    /** Liveness only: a server may say ok before its model is loaded. */
    health: (signal: AbortSignal) => json<{ status: string }>('GET', '/healthz', undefined, signal),
    capabilities: (signal: AbortSignal) =>
      json<ServerCapabilities>('GET', '/get_server_capabilities', undefined, signal),
    clientConfig: (signal: AbortSignal) =>
      json<ClientConfig>('POST', '/client/config', { sdk_version: SDK_VERSION }, signal),

    /** With the server's messages to its users. */
    openSession,
    createSession: async (signal: AbortSignal): Promise<string> =>
      (await openSession({ tags: ['astroflow'] }, signal)).session_id,
    heartbeat: (sessionId: string, signal: AbortSignal) =>
      json<object>('POST', '/session_heartbeat', { session_id: sessionId, type: 'session_heartbeat' }, signal),
    sessions: async (page: Page, signal: AbortSignal): Promise<string[]> =>
      (await json<{ sessions: string[] }>('GET', `/sessions${query(page)}`, undefined, signal)).sessions,
    session: (sessionId: string, signal: AbortSignal) =>
      json<SessionContents>('GET', `/sessions/${encodeURIComponent(sessionId)}`, undefined, signal),

    /** What a FastAPI server says of itself, outside the API; null where there is nothing. */
    async openapi(signal: AbortSignal): Promise<{ title: string; paths: string[] } | null> {
      try {
        const timeout = AbortSignal.timeout(OPENAPI_TIMEOUT_MS);
        const bounded = AbortSignal.any([signal, timeout]);
        const response = boundedAnswer(
          await fetch(`${options.baseUrl}/openapi.json`, { redirect: 'error', signal: bounded }),
        );
        const { info, paths } = (await response.json()) as { info?: { title?: string }; paths?: object };
        return response.ok && paths ? { title: info?.title ?? '', paths: Object.keys(paths) } : null;
      } catch {
        signal.throwIfAborted();
        return null;
      }
    },
  };
}

export function query({ limit, offset }: Page): string {
  const parts = [
    ...(limit === undefined ? [] : [`limit=${limit}`]),
    ...(offset === undefined ? [] : [`offset=${offset}`]),
  ];
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
