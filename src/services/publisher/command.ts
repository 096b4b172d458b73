import { spawn } from 'node:child_process';
import type { PublishConfig } from '../../config/publish-schema.ts';
import { ServiceError } from '../errors.ts';
import { namedVersions } from '../pool/versions.ts';
import type { Publisher } from './publisher.ts';
import { versionName } from './version-name.ts';
import { weightsFolder } from './weights-folder.ts';

type Config = Extract<PublishConfig, { via: 'command' }>;

const service = 'the publisher (policy.sampler.publish)';
/** Of what a command wrote, for its error. */
const TAIL = 2_000;
/** For what it wrote last to arrive. */
const REST_MS = 250;

/**
 * A program of the operator's: it has done its work when the sampler serves the weights. Its last line of output may
 * name the model as the sampler knows it; otherwise that is the name it was given. It may be run again with the same
 * arguments, after a crash or when the sampler has lost the model.
 */
export function commandPublisher(config: Config, env: NodeJS.ProcessEnv, base: string): Publisher {
  const { folder } = config;
  const stored = folder === undefined ? null : weightsFolder({ folder }, env);
  const weightsOf = new Map<string, string>();

  async function run(weights: string, name: string, signal: AbortSignal): Promise<string> {
    const { command } = config;
    const isTold = command.some((part) => /\{(weights|name)\}/.test(part));
    const parts = isTold ? command : [...command, '{weights}', '{name}'];
    const filled = parts.map((part) => part.replaceAll('{weights}', weights).replaceAll('{name}', name));
    const said = await runCommand(filled, env, config.timeoutMs, signal);
    return said.trim().split(/\r?\n/).at(-1)?.trim() || name;
  }

  return {
    async publish(weights, fetch, signal) {
      const name = versionName(weights);
      const found = stored && (await stored.take(weights, () => name, fetch, signal));
      const version = await run(found?.folder ?? weights, name, signal);
      // Under one name nobody could tell two policies apart, and scores would be those of another one.
      const before = weightsOf.get(version);
      if (version === base || (before !== undefined && before !== weights)) {
        const message =
          `${config.command[0]} named the model ${version}, which is another checkpoint's name already: serve each under ` +
          'a name of its own, such as the {name} it is given';
        throw new ServiceError('fatal', message, { service });
      }
      weightsOf.set(version, weights);
      return version;
    },

    async publishBase(signal) {
      if (config.base === undefined) {
        const message =
          `the sampler does not serve the base model ${base} any more: set policy.sampler.publish.base to what the command ` +
          'is to be given for it, or serve it beside the versions';
        throw new ServiceError('fatal', message, { service });
      }
      await run(config.base, base, signal);
    },

    versions: { ...namedVersions, fields: (version) => ({ model: version, cache_salt: version }) },
  };
}

/** What a program wrote to its output. @throws ServiceError (retryable) with the end of all it wrote */
async function runCommand(
  [program = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  // A group of its own: what it has started ends with it when the deadline has passed.
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let [output, log] = ['', ''];
  child.stdout.on('data', (chunk) => {
    output = (output + chunk).slice(-TAIL);
    log = (log + chunk).slice(-TAIL);
  });
  child.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-TAIL);
  });
  const failed = (what: string, cause?: unknown) => {
    const ending = log.trim() === '' ? 'it wrote nothing' : `it ended with\n${log.trim()}`;
    return new ServiceError('retryable', `${program} ${what}; ${ending}`, { service, cause });
  };
  let isLate = false;
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, timeoutMs);
  signal.addEventListener('abort', kill);
  try {
    const ended = await new Promise<{ code: number | null; by: string | null }>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, by) => resolve({ code, by }));
      // The end of the program, not of all that holds its output: a server that it started in the background does.
      child.once('exit', (code, by) => setTimeout(() => resolve({ code, by }), REST_MS));
    });
    signal.throwIfAborted();
    if (isLate) throw failed(`took longer than ${timeoutMs} ms (policy.sampler.publish.timeoutMs)`);
    if (ended.code !== 0)
      throw failed(ended.by === null ? `ended with code ${ended.code}` : `was ended by ${ended.by}`);
    return output;
  } catch (error) {
    if (error instanceof ServiceError || signal.aborted) throw error;
    const message = `${program} could not be started (${(error as Error).message}): policy.sampler.publish.command`;
    throw new ServiceError('fatal', message, { service, cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }
}
