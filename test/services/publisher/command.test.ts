import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPublisher } from '../../../src/services/publisher/index.ts';

const { signal } = new AbortController();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'astroflow-command-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const publisher = (script: string, options: { timeoutMs?: number; base?: string } = {}) =>
  createPublisher(
    {
      via: 'command',
      command: ['/bin/sh', '-c', script, 'sh', '{weights}', 'as-{name}'],
      timeoutMs: 10_000,
      ...options,
    },
    { PATH: process.env.PATH, FOLDER: folder },
    'base',
  );
const publish = (of: ReturnType<typeof publisher>, weights = '/jobs/rl-search/model') =>
  of.publish(weights, async () => weights, signal);

describe('a command that publishes', () => {
  it('is given weights and name, and the name is the version', async () => {
    const version = await publish(publisher('printf "%s\\n" "$1" "$2" > "$FOLDER/given"'));
    expect(version).toMatch(/^rl-search-[0-9a-f]{12}$/);
    expect(readFileSync(join(folder, 'given'), 'utf8')).toBe(`/jobs/rl-search/model\nas-${version}\n`);
  });

  it('is given both as its last arguments where it names neither', async () => {
    const command = ['/bin/sh', '-c', 'echo "$0 $#"'];
    const of = createPublisher({ via: 'command', command, timeoutMs: 5_000 }, {}, 'base');
    expect(await of.publish('/jobs/a/model', async () => '', signal)).toBe('/jobs/a/model 1');
  });

  it('names the model by the last line that it writes', async () => {
    expect(await publish(publisher('echo restarting; echo policy-7; echo " "'))).toBe('policy-7');
  });

  it('gets the same name for the same weights, and fails with the end of what it wrote', async () => {
    const of = publisher('echo "loading $2"; echo "no GPU left" >&2; exit 3');
    const first = await publish(of).catch((error) => error);
    expect(first.message).toMatch(
      /^\/bin\/sh ended with code 3; it ended with\nloading as-rl-search-.*\nno GPU left$/s,
    );
    expect(first.kind).toBe('retryable');
    expect((await publish(of).catch((error) => error)).message).toBe(first.message);
  });

  it('is ended with all it started when it takes too long, and when the caller goes', async () => {
    const of = publisher('sleep 600 & echo started; wait', { timeoutMs: 300 });
    await expect(publish(of)).rejects.toThrow(/took longer than 300 ms.*started/s);
    const caller = new AbortController();
    const reason = new Error('cancelled');
    const waiting = publisher('sleep 600').publish('/w', async () => '/w', caller.signal);
    caller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  it('may leave a server behind that holds its output', async () => {
    const of = publisher('sleep 20 & echo $! > "$FOLDER/pid"; echo served');
    expect(await publish(of)).toBe('served');
    process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGKILL');
  });

  it('may not give two checkpoints one name', async () => {
    const of = publisher('echo policy');
    expect(await publish(of, '/jobs/a/model')).toBe('policy');
    expect(await publish(of, '/jobs/a/model')).toBe('policy');
    await expect(publish(of, '/jobs/b/model')).rejects.toThrow(/named the model policy, which is another checkpoint's/);
  });

  it('serves the base again where it is told what that is', async () => {
    const script = 'echo "$1 $2" > "$FOLDER/given"';
    await publisher(script, { base: '/models/base' }).publishBase?.(signal);
    expect(readFileSync(join(folder, 'given'), 'utf8')).toBe('/models/base as-base\n');
    await expect(publisher(script).publishBase?.(signal)).rejects.toThrow(/set policy\.sampler\.publish\.base/);
  });

  it('says when there is no such program', async () => {
    const of = createPublisher({ via: 'command', command: ['/no/such'], timeoutMs: 1_000 }, {}, 'base');
    await expect(publish(of)).rejects.toThrow(/\/no\/such could not be started .*policy\.sampler\.publish\.command/);
  });
});
