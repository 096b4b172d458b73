import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** Shorter tokens could be guessed; `openssl rand -hex 24` makes one of 48. */
const shortestToken = 16;

/** Whether only this machine reaches what listens there. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 4) return bare.startsWith('127.');
  return bare === '::1' || bare.toLowerCase() === 'localhost';
}

/**
 * The token that a server of ours demands: the variable, or the file that `<variable>_FILE` names; undefined where
 * neither is set. A message never has the token in it.
 */
export function readToken(env: NodeJS.ProcessEnv, variable: string): { token?: string; problem?: string } {
  const file = env[`${variable}_FILE`];
  if (env[variable] && file) return { problem: `${variable} and ${variable}_FILE are both set: leave one out` };
  let token = env[variable];
  if (!token && file) {
    try {
      token = readFileSync(file, 'utf8').trim();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return { problem: `${variable}_FILE names ${file}, which cannot be read (${code})` };
    }
    if (token === '') return { problem: `${variable}_FILE names ${file}, which is empty` };
  }
  if (!token) return {};
  if (token.length < shortestToken || !/^[\x21-\x7e]+$/.test(token))
    return {
      problem: `${variable} must be at least ${shortestToken} characters without spaces: openssl rand -hex 24 makes one`,
    };
  return { token };
}

/**
 * What keeps a server of ours from listening at a host, or null: beyond loopback it needs a token.
 *
 * @param what the server, for the message: "The live page"
 */
export function refusedHost(what: string, host: string, token: string | undefined, variable: string): string | null {
  if (isLoopback(host) || token !== undefined) return null;
  return (
    `${what} at ${host} could be read by others: set ${variable} (or ${variable}_FILE) to a token that they must know, ` +
    'or leave --host out'
  );
}

/** In a time that does not depend on where the two differ. */
export function isSameSecret(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

/** Whether an `Authorization` header has the token. */
export function hasBearer(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return given !== undefined && isSameSecret(given, token);
}
