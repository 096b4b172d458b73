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
