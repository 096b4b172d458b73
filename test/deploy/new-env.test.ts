import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCompose } from '../support/compose.ts';
import { readEnvExample } from '../support/env-example.ts';

describe('deploy/new-env.sh', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-new-env-'));
    cpSync('.env.example', join(folder, '.env.example'));
    cpSync('deploy/new-env.sh', join(folder, 'deploy', 'new-env.sh'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  // From another folder, as people do.
  const run = () => spawnSync('sh', [join(folder, 'deploy', 'new-env.sh')], { cwd: '/', encoding: 'utf8' });
  const made = () => readFileSync(join(folder, '.env'), 'utf8');

  it('fills each empty password and token with its own random one, and leaves every other line as it is', () => {
    expect(run().status).toBe(0);
    const before = readEnvExample();
    const after = readEnvExample(made());
    expect(after.map(({ value, ...rest }) => rest)).toEqual(before.map(({ value, ...rest }) => rest));
    const filled = after.filter(({ isSet }) => isSet);
    for (const { name, value } of filled) expect(value, name).toMatch(/^[0-9a-f]{48}$/);
    expect(new Set(filled.map(({ value }) => value)).size).toBe(filled.length);
    expect(after.filter(({ isSet }) => !isSet)).toEqual(before.filter(({ isSet }) => !isSet));
  });

  it('makes what docker-compose.yml asks for, for its owner alone', () => {
    run();
    const env = Object.fromEntries(
      readEnvExample(made()).flatMap(({ isSet, name, value }) => (isSet ? [[name, value]] : [])),
    );
    expect(() => readCompose(env)).not.toThrow();
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
  });

  it('leaves an .env alone that is there', () => {
    run();
    const first = made();
    const { status, stderr } = run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('.env is there already')]);
    expect(made()).toBe(first);
  });
});
