import { ServiceError } from './errors.ts';

/** A configured value: literal, or the name of an environment variable. */
export type EnvOr = string | { env: string };

/** What to do when nothing answers at an address. */
export const startHint =
  'start it, or correct the address (`astroflow up` and `python -m engine` start the bundled engine)';

/**
 * The value as it is now. Read at the moment of each call: a resumed run may find its services on new ports.
 *
 * @param path where the value stands in the configuration, for the error
 * @throws ServiceError (fatal) when the variable is not set
 */
export function resolveValue(value: EnvOr, env: NodeJS.ProcessEnv, path: string): string {
  if (typeof value === 'string') return value;
  const found = env[value.env];
  if (found) return found;
  throw new ServiceError(
    'fatal',
    `${path} names the environment variable ${value.env}, which the worker does not have: ` +
      `start the worker with ${value.env}=…, or write the value into the configuration; \`astroflow up\` sets the ` +
      'variables of the bundled engine',
    { service: path },
  );
}

export interface Connection {
  /** Without a trailing slash. */
  baseUrl: string;
  apiKey: string | undefined;
}

/** Address and key of a service section such as `policy.sampler`. */
export function resolveConnection(
  config: { baseUrl: EnvOr; apiKey?: EnvOr | undefined },
  env: NodeJS.ProcessEnv,
  path: string,
): Connection {
  return {
    baseUrl: resolveValue(config.baseUrl, env, `${path}.baseUrl`).replace(/\/+$/, ''),
    apiKey: config.apiKey === undefined ? undefined : resolveValue(config.apiKey, env, `${path}.apiKey`),
  };
}
