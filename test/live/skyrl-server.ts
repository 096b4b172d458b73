import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { choosePort } from '../../src/cli/ports.ts';
import { type Child, lastLines, startChild } from '../../src/cli/processes.ts';
import { environment } from './environment.ts';

/** Llama-shaped, 0.38 M parameters, single precision: what SkyRL's JAX backend reads as it is. */
export const skyrlModel = fileURLToPath(new URL('../../engine/base/model', import.meta.url));
export const loraRank = 8;

/** Fixed batch sizes: each length of text is compiled once, not once for each number of sequences. */
const backend = {
  max_lora_adapters: 12,
  max_lora_rank: loraRank,
  train_micro_batch_size: 8,
  sample_max_num_sequences: 32,
};
const STARTUP_MS = 180_000;

export interface SkyrlServer {
  baseUrl: string;
  /** SIGKILL to the server and its engine at once. */
  kill(): Promise<void>;
  /** At the same address, with the same database and checkpoints. */
  restart(): Promise<void>;
  log(): string;
  stop(): Promise<void>;
}

/** SkyRL's own Tinker server with its JAX backend, on the CPU; everything it keeps lies in `folder`. */
export async function startSkyrl(folder: string): Promise<SkyrlServer> {
  const { python } = environment('skyrl');
  const bin = dirname(python);
  const port = await choosePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  let starts = 0;

  async function start(): Promise<Child> {
    starts += 1;
    const child = startChild({
      name: 'skyrl',
      command: join(bin, 'uv'),
      // It reads its parent's command line, and starts its engine by the same `uv run`.
      args: [
        ...['run', '--no-project', '--python', python, '-m', 'skyrl.tinker.api'],
        ...['--base-model', skyrlModel, '--backend', 'jax', '--backend-config', JSON.stringify(backend)],
        ...[
          '--database-url',
          `sqlite:///${join(folder, 'skyrl.db')}`,
          '--checkpoints-base',
          join(folder, 'checkpoints'),
        ],
        ...['--host', '127.0.0.1', '--port', `${port}`],
      ],
      cwd: folder,
      logFile: join(folder, `skyrl-${starts}.log`),
      env: {
        ...process.env,
        PATH: `${bin}:${process.env.PATH}`,
        HF_HUB_OFFLINE: '1',
        JAX_PLATFORMS: 'cpu',
        UV_OFFLINE: '1',
        // What was compiled once is there after a restart, and for the next run of the tests.
        JAX_COMPILATION_CACHE_DIR: join(dirname(bin), 'jax-cache'),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS: '0.2',
        PYTHONDONTWRITEBYTECODE: '1',
      },
    });
    for (const until = performance.now() + STARTUP_MS; ; await delay(200)) {
      if (child.hasExited() || performance.now() > until) {
        await child.kill();
        throw new Error(`SkyRL did not start: ${lastLines(child.logFile, 30)}`);
      }
      const answer = await fetch(`${baseUrl}/api/v1/healthz`).catch(() => null);
      if (answer?.ok) return child;
    }
  }

  let child = await start();
  return {
    baseUrl,
    kill: () => child.kill(),
    async restart() {
      child = await start();
    },
    log: () => readFileSync(child.logFile, 'utf8'),
    stop: () => child.stop(),
  };
}
