import { type EnvOr, keyOf, resolveValue } from '../address.ts';
import { ServiceError } from '../errors.ts';
import type { OpenAiConfig } from '../openai/client.ts';

export interface PoolConfig extends OpenAiConfig {
  /** Instead of `baseUrl`: servers with keys and limits of their own. */
  endpoints?:
    | readonly {
        name?: string | undefined;
        baseUrl: EnvOr;
        apiKey?: EnvOr | undefined;
        maxConcurrency?: number | undefined;
      }[]
    | undefined;
}

/** One server as it is configured now. */
export interface Endpoint {
  /** What calls are recorded by: addresses may change, and are nobody's business. */
  name: string;
  /** With a literal address. */
  config: OpenAiConfig;
  /** Where it stands in the configuration. */
  path: string;
}

/**
 * The servers of a section, read at the moment of a call. An address, literal or in an environment variable, may be
 * several, separated by commas or white space; names follow the order, so a resumed run finds the same ones on new ports.
 *
 * @throws ServiceError (fatal) for a variable that is not set, and when nothing is left
 */
export function endpointsOf(config: PoolConfig, env: NodeJS.ProcessEnv, path: string): Endpoint[] {
  const { endpoints, ...section } = config;
  const found: Endpoint[] = [];
  const seen = new Set<string>();
  const add = (own: OpenAiConfig, at: string, name: string | undefined) => {
    const addresses = resolveValue(own.baseUrl, env, `${at}.baseUrl`)
      .split(/[\s,]+/)
      .filter(Boolean);
    const apiKey = keyOf(own, env);
    for (const [index, baseUrl] of addresses.entries()) {
      const root = rootOf(baseUrl);
      if (seen.has(root)) continue;
      seen.add(root);
      const called = name === undefined || addresses.length === 1 ? name : `${name}-${index}`;
      found.push({ name: called ?? `server-${found.length}`, config: { ...own, baseUrl, apiKey }, path: at });
    }
  };
  if (endpoints === undefined) add(section, path, undefined);
  for (const [index, { name, ...own }] of (endpoints ?? []).entries()) {
    const { baseUrl, apiKey = section.apiKey, maxConcurrency = section.maxConcurrency } = own;
    add({ ...section, baseUrl, apiKey, maxConcurrency }, `${path}.endpoints.${index}`, name);
  }
  if (found.length > 0) return found;
  throw new ServiceError('fatal', `${path}.baseUrl holds no address`, { service: path });
}

/** What a server is known by in this process: its address without a trailing slash or `/v1`. */
export function rootOf(baseUrl: string): string {
  return baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '');
}
