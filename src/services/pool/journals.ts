import type { Server } from './server.ts';

/**
 * What each server's journal says; null where one of them keeps none, since a part is no account of the whole. One
 * server of several that is gone takes its journal with it, which is said.
 *
 * @throws what reading throws when no server answers
 */
export async function fromEach<T>(
  servers: readonly Server[],
  read: (server: Server) => Promise<T | null>,
  warn: (message: string) => void,
): Promise<T[] | null> {
  const results = await Promise.allSettled(servers.map(read));
  const [first] = results;
  if (first !== undefined && results.every(({ status }) => status === 'rejected'))
    throw (first as PromiseRejectedResult).reason;
  const found: T[] = [];
  let isWhole = true;
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled' && result.value !== null) found.push(result.value);
    else isWhole = false;
    if (result.status === 'rejected')
      warn(
        `the journal of ${servers[index]?.name} cannot be read, so what the servers served is not known: ` +
          `${(result.reason as Error).message}`,
      );
  }
  return isWhole ? found : null;
}
