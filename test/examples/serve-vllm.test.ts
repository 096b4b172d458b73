import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { choosePort } from '../../src/cli/ports.ts';

const script = fileURLToPath(new URL('../../examples/serve-vllm.sh', import.meta.url));
const fakes = fileURLToPath(new URL('../fixtures/vllm', import.meta.url));

describe('examples/serve-vllm.sh', () => {
  let folder: string;
  let port: number;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-serve-vllm-'));
    port = await choosePort();
  });
  afterEach(() => {
    const pid = serverPid();
    if (pid !== null && isAlive(pid)) process.kill(-pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  function run(...args: string[]): Promise<{ code: number | null; said: string }> {
    const path = `${fakes}${delimiter}${process.env.PATH}`;
    const env = { ...process.env, PATH: path, VLLM_PORT: String(port), VLLM_STATE: folder };
    const child = spawn(script, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    return new Promise((resolve) => child.once('exit', (code) => resolve({ code, said })));
  }

  function serverPid(): number | null {
    try {
      return Number(readFileSync(join(folder, 'pid'), 'utf8'));
    } catch {
      return null;
    }
  }

  async function served(): Promise<{ id: string; root: string }> {
    const response = await fetch(`http://127.0.0.1:${port}/v1/models`);
    return ((await response.json()) as { data: [{ id: string; root: string }] }).data[0];
  }

  it('ends once the weights are served under their name', async () => {
    expect(await run('/models/step-1', 'step-1')).toEqual({ code: 0, said: '' });
    expect(await served()).toMatchObject({ id: 'step-1', root: '/models/step-1' });
  });

  it('leaves a server alone that serves the name already', async () => {
    await run('/models/step-1', 'step-1');
    const before = serverPid();
    expect((await run('/models/step-1', 'step-1')).code).toBe(0);
    expect(serverPid()).toBe(before);
  });

  it('takes the server before out of service', async () => {
    await run('/models/step-1', 'step-1');
    const before = serverPid() as number;
    expect((await run('/models/step-2', 'step-2')).code).toBe(0);
    expect(await served()).toMatchObject({ id: 'step-2', root: '/models/step-2' });
    expect(isAlive(before)).toBe(false);
  });

  it('says how vLLM ended when it does not serve', async () => {
    const { code, said } = await run('broken', 'step-1');
    expect(code).toBe(1);
    expect(said).toContain('vLLM ended before it served step-1');
    expect(said).toContain('ValueError: no model in broken');
  });

  it('explains itself when arguments are missing', async () => {
    expect(await run('/models/step-1')).toMatchObject({
      code: 2,
      said: expect.stringContaining('usage: serve-vllm.sh'),
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
