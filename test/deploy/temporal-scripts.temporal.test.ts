import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporalBinary } from '../../src/cli/paths.ts';
import { searchAttributes } from '../../src/core/search-attributes.ts';
import { findPostgres, type Postgres, startPostgres } from '../support/postgres.ts';

/** Runs a script of `deploy/temporal` as its container does, with programs of `bin` in front of the others. */
async function runScript(name: string, bin: string, env: NodeJS.ProcessEnv) {
  const path = `${bin}${delimiter}${process.env.PATH}`;
  const child = spawn('/bin/sh', [join('deploy', 'temporal', name)], { env: { PATH: path, ...env } });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  const [code] = await once(child, 'close');
  return { code: code as number, said };
}

const postgresBin = findPostgres();

// The one program that no package registry has is stood in for; PostgreSQL is real.
describe.skipIf(postgresBin === null)('setup-schema.sh (skipped where there is no PostgreSQL)', () => {
  let postgres: Postgres;
  let schemas: string;
  beforeAll(async () => {
    schemas = mkdtempSync(join(tmpdir(), 'astroflow-schemas-'));
    postgres = await startPostgres(postgresBin ?? '');
    cpSync('test/fixtures/temporal-schema', schemas, { recursive: true });
  });
  afterAll(async () => {
    await postgres?.close();
    rmSync(schemas, { recursive: true, force: true });
  });

  const setUp = (env: NodeJS.ProcessEnv = {}) =>
    runScript('setup-schema.sh', `${resolve('test/fixtures/admin-tools')}${delimiter}${postgresBin}`, {
      SQL_PLUGIN: 'postgres12',
      ...postgres.env,
      TEMPORAL_SCHEMAS: schemas,
      ...env,
    });
  const versions = () =>
    ['temporal', 'temporal_visibility'].map((name) => postgres.query(name, 'SELECT curr_version FROM schema_version'));

  it('makes both databases with their tables, and changes nothing the second time', async () => {
    expect(await setUp()).toEqual({ code: 0, said: "Temporal's databases are ready.\n" });
    expect(versions()).toEqual(['1.1', '1.1']);
    postgres.query('temporal', "INSERT INTO temporal_things VALUES (1, 'kept')");
    expect((await setUp()).code).toBe(0);
    expect(versions()).toEqual(['1.1', '1.1']);
    expect(postgres.query('temporal', 'SELECT * FROM temporal_things')).toBe('1|kept');
    expect(postgres.query('temporal_visibility', 'SELECT * FROM visibility_things')).toBe('');
  });

  it('brings the databases of an earlier image to the version of a newer one, and keeps what is in them', async () => {
    const newer = join(schemas, 'temporal', 'versioned', 'v1.10');
    cpSync(join(schemas, 'temporal', 'versioned', 'v1.1'), newer, { recursive: true });
    const replace = (file: string, from: string, to: string) => {
      const path = join(newer, file);
      writeFileSync(path, readFileSync(path, 'utf8').replace(from, to));
    };
    replace('manifest.json', '"CurrVersion": "1.1"', '"CurrVersion": "1.10"');
    replace('column.sql', 'name VARCHAR', 'note VARCHAR');
    expect((await setUp()).code).toBe(0);
    expect(versions()).toEqual(['1.10', '1.1']);
    expect(postgres.query('temporal', 'SELECT * FROM temporal_things')).toBe('1|kept|');
  });

  it('ends with an error where the password is wrong, or missing', async () => {
    const { code, said } = await setUp({ SQL_PASSWORD: 'another' });
    expect([code, said]).toEqual([1, expect.stringContaining('password authentication failed')]);
    expect((await setUp({ SQL_PASSWORD: '' })).code).not.toBe(0);
  });
});

describe('create-namespace.sh', () => {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    server = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'existing-path', path: temporalBinary() } },
    });
  });
  afterAll(() => server?.teardown());

  it('makes the namespace with the search attributes of runs, and changes nothing the second time', async () => {
    const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'team' };
    for (const time of ['first', 'second'])
      expect(await runScript('create-namespace.sh', dirname(temporalBinary()), env), time).toEqual({
        code: 0,
        said: expect.stringContaining('Namespace team is ready.'),
      });
    const { workflowService, operatorService } = server.connection;
    const { config } = await workflowService.describeNamespace({ namespace: 'team' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * 86_400);
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace: 'team' });
    const { run, stage, model, attention } = searchAttributes;
    const [keyword, bool] = [2, 5];
    expect(customAttributes).toMatchObject({ [run]: keyword, [stage]: keyword, [model]: keyword, [attention]: bool });
  });

  it('makes every search attribute of the code, and none else', () => {
    const script = readFileSync('deploy/temporal/create-namespace.sh', 'utf8');
    const made = [...script.matchAll(/--name (\w+) --type (\w+)/g)].map(([, name]) => name);
    expect(made.sort()).toEqual(Object.values(searchAttributes).sort());
  });
});
