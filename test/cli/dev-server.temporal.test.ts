import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDevServer } from '../../src/cli/dev-server.ts';
import { packageRoot, temporalBinary } from '../../src/cli/paths.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'astroflow-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = () =>
  startDevServer({ binary: temporalBinary(), logFile: join(folder, 'temporal.log'), database: join(folder, 't.db') });

function listens(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  return new Promise((done) => {
    const socket = connect(Number(port), host);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

describe('the dev server', () => {
  it('answers when it is said to be there, is gone after stop, and remembers what it was told', async () => {
    const first = await open();
    const connection = await Connection.connect({ address: first.address });
    await new Client({ connection }).workflow.start('anything', { workflowId: 'w', taskQueue: 'nobody' });
    await connection.close();
    await first.child.stop();
    expect(await listens(first.address)).toBe(false);

    const second = await open();
    try {
      const again = await Connection.connect({ address: second.address });
      const { status } = await new Client({ connection: again }).workflow.getHandle('w').describe();
      await again.close();
      expect(status.name).toBe('RUNNING');
    } finally {
      await second.child.stop();
    }
  });

  it('ends with the process that started it, even when that is killed', async () => {
    // Another process starts the server, says where it is, and kills itself without cleaning up.
    const script = join(packageRoot, 'test', 'fixtures', 'start-server-and-die.ts');
    const result = spawnSync(process.execPath, ['--import', 'tsx', script, folder], { cwd: packageRoot });
    expect(result.signal).toBe('SIGKILL');
    const address = readFileSync(join(folder, 'address'), 'utf8');
    await expect.poll(() => listens(address), { timeout: 15_000 }).toBe(false);
  });

  it('says what its log says when it cannot start', async () => {
    const database = join(folder, 'no', 'such', 'folder', 't.db');
    const start = startDevServer({ binary: temporalBinary(), logFile: join(folder, 'temporal.log'), database });
    await expect(start).rejects.toThrow(/ended during its start.*log ends with/s);
  });
});
