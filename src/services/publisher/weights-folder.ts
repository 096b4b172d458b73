import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type EnvOr, resolveValue } from '../address.ts';
import { ServiceError } from '../errors.ts';
import type { FetchWeights } from './publisher.ts';

/** A version whose weights lie in a folder: what a server is brought it from, in this process or a later one. */
export interface PublishedWeights {
  schema: 'astroflow.published-weights/1';
  version: string;
  /** As the trainer names them. */
  weights: string;
  /** The folder with the files, as workers and servers see it. */
  folder: string;
  kind: 'adapter' | 'model';
}

const service = 'the publisher (policy.sampler.publish)';
const path = 'policy.sampler.publish.folder';

/**
 * Published weights below one folder on shared storage. A record stands beside them once they are complete, written
 * atomically, so that a version survives everything but the deletion of its files.
 */
export function weightsFolder(config: { folder: EnvOr }, env: NodeJS.ProcessEnv) {
  function root(): string {
    const folder = resolveValue(config.folder, env, path);
    if (isAbsolute(folder)) return folder;
    throw new ServiceError('fatal', `${path} must be absolute, not ${folder}: servers load from it`, { service });
  }

  const recordOf = (version: string) => join(root(), `${version}.json`);

  async function find(version: string): Promise<PublishedWeights | null> {
    try {
      const record = JSON.parse(await readFile(recordOf(version), 'utf8')) as PublishedWeights;
      return (await kindOf(record.folder)) === null ? null : record;
    } catch {
      return null;
    }
  }

  return {
    root,
    find,

    /**
     * Weights as a recorded folder: fetched below `weights/` unless they are a folder already.
     * @param versionOf names them, once it is known what they are
     */
    async take(
      weights: string,
      versionOf: (kind: PublishedWeights['kind']) => string,
      fetch: FetchWeights,
      signal: AbortSignal,
    ): Promise<PublishedWeights> {
      for (const kind of ['adapter', 'model'] as const) {
        const earlier = await find(versionOf(kind));
        if (earlier !== null) return earlier;
      }
      const fetched = await fetch(join(root(), 'weights'), signal);
      const found = await insideOf(fetched);
      if (found === null) {
        const message =
          `there is neither a model (config.json) nor a PEFT adapter (adapter_config.json, adapter_model.safetensors) in ` +
          `${fetched}, which ${weights} was fetched to`;
        throw new ServiceError('fatal', message, { service });
      }
      const version = versionOf(found.kind);
      const record: PublishedWeights = { schema: 'astroflow.published-weights/1', version, weights, ...found };
      await mkdir(root(), { recursive: true });
      const own = `${recordOf(version)}.${randomUUID()}`;
      await writeFile(own, `${JSON.stringify(record, null, 2)}\n`);
      await rename(own, recordOf(version));
      return record;
    },

    /** @throws ServiceError (lost): the caller publishes the checkpoint again */
    async require(version: string): Promise<PublishedWeights> {
      const record = await find(version);
      if (record !== null) return record;
      throw new ServiceError('lost', `${root()} does not hold the version ${version} any more`, { service });
    },

    /** It is in use: what is asked for last is let go last. Nothing where it is not known here. */
    async touch(version: string): Promise<void> {
      const now = new Date();
      await utimes(recordOf(version), now, now).catch(() => {});
    },

    /** Versions by when they were last asked for, the newest first. */
    async list(): Promise<string[]> {
      const names = (await readdir(root()).catch(() => [])).filter((name) => name.endsWith('.json'));
      const made = await Promise.all(
        names.map(async (name) => ({ name, at: (await stat(join(root(), name))).mtimeMs })),
      );
      return made.sort((a, b) => b.at - a.at).map(({ name }) => name.slice(0, -'.json'.length));
    },
  };
}

export type WeightsFolder = ReturnType<typeof weightsFolder>;

/** Some archives hold the files in a folder of their own. */
async function insideOf(folder: string): Promise<Pick<PublishedWeights, 'folder' | 'kind'> | null> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  for (const one of [folder, ...below]) {
    const kind = await kindOf(one);
    if (kind !== null) return { folder: one, kind };
  }
  return null;
}

async function kindOf(folder: string): Promise<PublishedWeights['kind'] | null> {
  const names = new Set(await readdir(folder).catch(() => []));
  if (names.has('adapter_config.json'))
    return names.has('adapter_model.safetensors') || names.has('adapter_model.bin') ? 'adapter' : null;
  return names.has('config.json') ? 'model' : null;
}
