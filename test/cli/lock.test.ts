import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeFrom } from '../../src/cli/home.ts';
import { startOf, takeLock } from '../../src/cli/lock.ts';
import { readServerFile, writeServerFile } from '../../src/cli/server-file.ts';

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'astroflow-'));
  lock = join(folder, 'demo.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A pid that was a process of ours and is none any more. */
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

describe('the home folder', () => {
  it('is .astroflow in the current folder, or where ASTROFLOW_HOME says', () => {
    expect(homeFrom({}, '/a').root).toBe('/a/.astroflow');
    expect(homeFrom({ ASTROFLOW_HOME: 'b' }, '/a').database).toBe('/a/b/temporal.db');
    expect(homeFrom({ ASTROFLOW_HOME: '/c' }, '/a').artifacts).toBe('/c/artifacts');
  });

  it('has the artifacts in it, unless ASTROFLOW_ARTIFACTS says where they are', () => {
    const artifacts = (value: string) => homeFrom({ ASTROFLOW_HOME: '/c', ASTROFLOW_ARTIFACTS: value }, '/a').artifacts;
    expect(artifacts('')).toBe('/c/artifacts');
    expect(artifacts('shared')).toBe('/a/shared');
    expect(artifacts('s3://bucket/prefix')).toBe('s3://bucket/prefix');
  });
});

describe('the lock', () => {
  it('is held by one process and says by which', () => {
    const release = takeLock(lock, 'demo');
    expect(() => takeLock(lock, 'up')).toThrow(`\`astroflow demo\` is already running here (pid ${process.pid})`);
    release();
    expect(existsSync(lock)).toBe(false);
    takeLock(lock, 'up')();
  });

  it.each([
    ['of a process that is gone', () => JSON.stringify({ pid: deadPid(), start: 'before', command: 'demo' })],
    [
      'of an earlier process with the same pid',
      () => JSON.stringify({ pid: process.pid, start: 'x', command: 'demo' }),
    ],
    ['that was never written to the end', () => '{"pid":'],
  ])('is taken over %s', (_case, content) => {
    writeFileSync(lock, content());
    const release = takeLock(lock, 'demo');
    expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: process.pid });
    release();
  });

  it('knows no start of a process that is not there', () => {
    expect(startOf(deadPid())).toBe('');
    expect(startOf(process.pid)).not.toBe('');
  });
});

describe('the address of a running server', () => {
  const server = { address: '127.0.0.1:1', uiUrl: 'http://127.0.0.1:2' };

  it('is found while its process runs', () => {
    const file = join(folder, 'server.json');
    const forget = writeServerFile(file, server);
    expect(readServerFile(file)).toMatchObject(server);
    forget();
    expect(readServerFile(file)).toBeNull();
  });

  it('is ignored when its process is gone', () => {
    const file = join(folder, 'server.json');
    writeFileSync(file, JSON.stringify({ ...server, pid: deadPid(), start: 'before' }));
    expect(readServerFile(file)).toBeNull();
  });
});
