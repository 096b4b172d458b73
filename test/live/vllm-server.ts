import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { choosePort } from '../../src/cli/ports.ts';
import { type Child, lastLines, startChild } from '../../src/cli/processes.ts';
import { environment } from './environment.ts';

const STARTUP_MS = 240_000;

export interface VllmServer {
  baseUrl: string;
  kill(): Promise<void>;
  /** At the same address, with nothing loaded. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** vLLM on the CPU, with adapters that are loaded while it runs; its logs lie in `folder`. */
export async function startVllmServer(folder: string, model: string): Promise<VllmServer> {
  const { python } = environment('vllm');
  const port = await choosePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  let starts = 0;

  async function start(): Promise<Child> {
    starts += 1;
    const child = startChild({
      name: 'vllm',
      command: python,
      args: [
        // Its command `vllm` asks for the version of a package of that name, which this build is not.
        ...[
          '-m',
          'vllm.entrypoints.openai.api_server',
          '--model',
          model,
          '--served-model-name',
          'base',
          '--host',
          '127.0.0.1',
          '--port',
          `${port}`,
        ],
        ...['--dtype', 'float32', '--max-model-len', '512', '--enforce-eager', '--generation-config', 'vllm'],
        ...['--enable-lora', '--max-lora-rank', '8', '--max-loras', '2'],
      ],
      cwd: folder,
      logFile: join(folder, `vllm-${starts}.log`),
      env: {
        ...process.env,
        PATH: `${dirname(python)}:${process.env.PATH}`,
        HF_HUB_OFFLINE: '1',
        VLLM_ALLOW_RUNTIME_LORA_UPDATING: 'True',
        VLLM_CPU_KVCACHE_SPACE: '1',
        VLLM_NO_USAGE_STATS: '1',
      },
    });
    for (const until = performance.now() + STARTUP_MS; ; await delay(500)) {
      if (child.hasExited() || performance.now() > until) {
        await child.kill();
        throw new Error(`vLLM did not start: ${lastLines(child.logFile, 30)}`);
      }
      const answer = await fetch(`${baseUrl}/health`).catch(() => null);
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
    stop: () => child.stop(),
  };
}
