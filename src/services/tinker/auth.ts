import { unlessAborted } from './abort.ts';

/**
 * What goes into `X-API-Key`: the key itself, or, where the server wants short-lived tokens (`pjwt_auth_enabled`), a JWT
 * that the key was exchanged for at `/auth/token`.
 */
export interface Auth {
  /** @throws what the exchange throws, or the signal's reason */
  key(signal: AbortSignal): Promise<string | undefined>;
  /** Forgets a token that the server has refused; false where the key is fixed and refusing it is final. */
  refused(key: string | undefined): boolean;
}

const RENEW_BEFORE_MS = 300_000;

export const fixedKey = (apiKey: string | undefined): Auth => ({ key: async () => apiKey, refused: () => false });

/**
 * @param exchange asks the server for a token; shared by all who wait, so no single caller may end it
 * @param now time of day in milliseconds, as tokens carry it
 */
export function exchangedKey(exchange: () => Promise<string>, now: () => number): Auth {
  let token: { jwt: string; renewAt: number } | null = null;
  let asking: Promise<string> | null = null;

  async function ask(): Promise<string> {
    try {
      const jwt = await exchange();
      token = { jwt, renewAt: renewalOf(jwt, now()) };
      return jwt;
    } finally {
      asking = null;
    }
  }

  return {
    async key(signal) {
      if (token !== null && now() < token.renewAt) return token.jwt;
      asking ??= ask();
      return unlessAborted(asking, signal);
    },
    refused(key) {
      if (token?.jwt === key) token = null;
      return true;
    },
  };
}

/** 300 s before it expires; in the middle of a shorter life. A token that does not say lasts until it is refused. */
function renewalOf(jwt: string, now: number): number {
  const expires = expiryMs(jwt);
  return expires === null ? Number.POSITIVE_INFINITY : expires - Math.min(RENEW_BEFORE_MS, (expires - now) / 2);
}

/** The `exp` claim in milliseconds. The signature is the server's business: the token came from it over TLS. */
export function expiryMs(jwt: string): number | null {
  try {
    const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof claims.exp === 'number' ? claims.exp * 1000 : null;
  } catch {
    return null;
  }
}
