import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporalBinary } from '../../src/cli/paths.ts';
import { choosePort } from '../../src/cli/ports.ts';
import { layOut, readStages } from '../support/dockerfile.ts';

/** Who runs it: where tests run as root, somebody who may write nowhere but to the home folder. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

let server: TestWorkflowEnvironment;
let folder: string;
let worker: ChildProcess | undefined;
beforeAll(async () => {
  server = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path: temporalBinary() } },
  });
  folder = mkdtempSync(join(tmpdir(), 'astroflow-image-'));
});
afterAll(async () => {
  worker?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  await server?.teardown();
});

/** The packages that `npm ci --omit=dev` installs, as links. */
function linkPackages(app: string) {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  for (const [path, { dev }] of Object.entries(packages)) {
    if (dev || !/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path)) continue;
    mkdirSync(dirname(join(app, path)), { recursive: true });
    symlinkSync(resolve(path), join(app, path));
  }
}

function run(args: string[], env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, args, { cwd: join(folder, 'app'), env, ...nobody });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  let said = '';
  return {
    child,
    ended,
    said: () => said,
    /** Resolves when it has said `word`, or has ended. */
    hasSaid: (word: string) =>
      new Promise<void>((done) => {
        void ended.then(() => done());
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (chunk) => {
            said += chunk;
            if (said.includes(word)) done();
          });
      }),
  };
}

it('a worker runs from what the image has, as somebody who owns nothing of it, is well, and ends on SIGTERM', async () => {
  const app = join(folder, 'app');
  layOut(readStages(readFileSync('Dockerfile', 'utf8')).get('worker')!, readFileSync('.dockerignore', 'utf8'), app);
  linkPackages(app);
  const home = join(folder, 'home');
  mkdirSync(home);
  if (nobody.uid) chownSync(home, nobody.uid, nobody.gid);
  // The folder of a test is its owner's alone.
  chmodSync(folder, 0o755);

  const address = `127.0.0.1:${await choosePort()}`;
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    ASTROFLOW_HOME: home,
    ASTROFLOW_HEALTH_ADDRESS: address,
    TEMPORAL_ADDRESS: server.address,
  };
  const started = run(['bin/astroflow.js', 'worker', '--task-queue', 'image', '--grace', '1'], env);
  worker = started.child;
  await started.hasSaid('Worker on');
  expect(started.said()).toContain('Worker on');

  const isWell = async () => {
    const check = run(['deploy/healthcheck.mjs', `http://${address}/healthz`], env);
    await check.hasSaid('never');
    return { code: await check.ended, said: check.said() };
  };
  expect(await isWell()).toEqual({ code: 0, said: '' });
  started.child.kill('SIGTERM');
  expect(await started.ended).toBe(0);
  expect(await isWell()).toEqual({ code: 1, said: expect.stringContaining('ECONNREFUSED') });
});
