import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Service {
  image: string;
  build?: { context: string; target: string };
  profiles?: string[];
  restart?: string;
  entrypoint?: string[];
  command?: string[];
  environment?: Record<string, string | null>;
  volumes?: string[];
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  stop_grace_period?: string;
  read_only?: boolean;
  deploy?: { resources?: { limits?: { memory?: string } } };
}

export interface Compose {
  name: string;
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
}

type Variables = Record<string, string | undefined>;

/** What of `docker-compose.yml` is started with these variables and profiles; anchors and variables are resolved. */
export function readCompose(env: Variables, profiles: string[] = []): Compose {
  const compose = resolve(parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }), env) as Compose;
  const isActive = ({ profiles: of }: Service) => of === undefined || of.some((profile) => profiles.includes(profile));
  const services = Object.entries(compose.services).filter(([, service]) => isActive(service));
  return { ...compose, services: Object.fromEntries(services) };
}

function resolve(value: unknown, env: Variables): unknown {
  if (typeof value === 'string') return interpolate(value, env);
  if (Array.isArray(value)) return value.map((item) => resolve(item, env));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, env)]));
}

/**
 * `${V}`, `${V:-default}`, `${V:?message}` and `$$` as Compose has them; stricter where it is lax: what is not set and
 * has no default, and every other form, is an error.
 */
export function interpolate(text: string, env: Variables): string {
  return text.replace(/\$(?:\$|\{([A-Z][A-Z0-9_]*)(?:(:[-?])([^{}]*))?\}|)/g, (whole, name, operator, word) => {
    if (whole === '$$') return '$';
    if (name === undefined) throw new Error(`a "$" that is neither $$ nor a variable as we write them: ${text}`);
    const value = env[name];
    if (value) return value;
    if (operator === ':-') return word;
    if (operator === ':?') throw new Error(`${name} ${word}`);
    if (value === undefined) throw new Error(`${name} is not set`);
    return value;
  });
}

/** Every variable that is interpolated, with its default: null where it has none. */
export function interpolated(text = readFileSync('docker-compose.yml', 'utf8')): Map<string, string | null> {
  const found = new Map<string, string | null>();
  for (const [, name = '', operator, word] of text.matchAll(/(?<!\$)\$\{([A-Z][A-Z0-9_]*)(?:(:[-?])([^{}]*))?\}/g)) {
    const given = operator === ':-' ? (word ?? '') : null;
    if (found.has(name) && found.get(name) !== given) throw new Error(`${name} has two defaults`);
    found.set(name, given);
  }
  return found;
}

/** Seconds of a duration such as `90s`, `1m` or `1m30s`. */
export function secondsOf(duration: string): number {
  const match = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration);
  if (match === null || duration === '') throw new Error(`no duration: ${duration}`);
  return Number(match[1] ?? 0) * 60 + Number(match[2] ?? 0);
}
