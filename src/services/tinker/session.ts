import type { TinkerClient } from './client.ts';
import { TinkerError } from './errors.ts';

export const HEARTBEAT_MS = 10_000;

/**
 * Keeps a session alive, where its server ends any; never keeps the process alive. When the process dies, the server
 * unloads the session's models after a while, so that they do not fill it up.
 *
 * @param onGone told once when the server no longer knows the session
 * @returns ends the heartbeats
 */
export function keepAlive(client: TinkerClient, sessionId: string, onGone: () => void): () => void {
  if (client.can.heartbeatReap === 'none') return () => {};
  const timer = setInterval(async () => {
    try {
      await client.heartbeat(sessionId, AbortSignal.timeout(HEARTBEAT_MS));
    } catch (error) {
      if (!(error instanceof TinkerError) || (error.kind !== 'lost' && error.kind !== 'fatal')) return;
      clearInterval(timer);
      onGone();
    }
  }, HEARTBEAT_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** A session that names models. */
export interface OpenSession {
  id: Promise<string>;
  nextModelSeqId: number;
}

export type LivingSession = ReturnType<typeof livingSession>;

/**
 * A session that is opened when it is first needed and kept alive; once the server has forgotten it, the next who needs
 * it opens another.
 *
 * @param onGone told whenever the server no longer knows the session, whose models went with it
 */
export function livingSession(client: TinkerClient, onGone: () => void = () => {}) {
  let current: { session: OpenSession; stop: () => void } | null = null;

  function forget(session: OpenSession): void {
    if (current?.session !== session) return;
    current.stop();
    current = null;
    onGone();
  }

  return {
    /** Shared by all callers, so no single caller's cancellation may end it. */
    open(): OpenSession {
      if (current !== null) return current.session;
      const session: OpenSession = { id: client.createSession(new AbortController().signal), nextModelSeqId: 0 };
      const opened = { session, stop: () => {} };
      current = opened;
      session.id.then(
        (id) => {
          if (current === opened) opened.stop = keepAlive(client, id, () => forget(session));
        },
        () => forget(session),
      );
      return session;
    },
    forget,
    /** Ends the heartbeats. */
    stop(): void {
      current?.stop();
      current = null;
    },
  };
}
