import { ServiceError } from './errors.ts';

/** A configured value: literal, or the name of an environment variable. */
export type EnvOr = string | { env: string };

/** What the bundled engine's address is called in a configuration. */
export const engineVariable = 'ASTROFLOW_ENGINE_URL';
const engineTokenVariable = 'ASTROFLOW_ENGINE_TOKEN';

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
  const key = keyOf(config, env);
  return {
    baseUrl: resolveValue(config.baseUrl, env, `${path}.baseUrl`).replace(/\/+$/, ''),
    apiKey: key === undefined ? undefined : resolveValue(key, env, `${path}.apiKey`),
  };
}

/** Where the key of a section is: the bundled engine's is known without being named, where it has one. */
export function keyOf(
  { baseUrl, apiKey }: { baseUrl: EnvOr; apiKey?: EnvOr | undefined },
  env: NodeJS.ProcessEnv,
): EnvOr | undefined {
  if (apiKey !== undefined) return apiKey;
  const isEngine = typeof baseUrl === 'object' && baseUrl.env === engineVariable;
  return isEngine && env[engineTokenVariable] ? { env: engineTokenVariable } : undefined;
}
