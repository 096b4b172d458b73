import { join } from 'node:path';
import type { ActivityDeps } from '../src/activities/deps.ts';
import { startDevServer } from '../src/cli/dev-server.ts';
import { startEngine } from '../src/cli/engine.ts';
import { createHome, type Home, homeFrom } from '../src/cli/home.ts';
import { packageRoot, temporalBinary } from '../src/cli/paths.ts';
import { choosePort } from '../src/cli/ports.ts';
import { startChild } from '../src/cli/processes.ts';
import { openServices } from '../src/services/index.ts';
import { openStore } from '../src/services/store/open.ts';
import { bucketContents } from './bucket-contents.ts';
import { createPart, type Part } from './part.ts';
import type { S3Server } from './s3-server.ts';
import type { Target } from './schedule.ts';
import type { ScriptedWorkerOptions } from './scripted-worker.ts';
import { slowServices } from './slow-services.ts';
import { type Contents, folderContents } from './stored.ts';

/** Temporal server, model service and worker of one run, in processes of their own with a folder of their own. */
export interface Bed {
  home: Home;
  /** Of the Temporal server, for as long as the bed is there. */
  address: string;
  parts: ReadonlyMap<Target, Part>;
  contents: Contents;
  /** The run's store and services, for whoever wants to look at them from here. */
  deps: ActivityDeps;
  /** Rejects when a part cannot be kept running; never resolves. */
  broken: Promise<never>;
  stop(): Promise<void>;
}

export type BedKind = (
  | /** The worker of `astroflow worker`, and the bundled engine. */
  { kind: 'engine' }
  /** A worker whose scripted services take up to `latencyMs` for a call. */
  | { kind: 'scripted'; bundle: string; latencyMs: number }
) & {
  /** Where a bucket is the store; left out, a folder is. */
  s3?: S3Server;
};

export async function openBed(folder: string, options: BedKind): Promise<Bed> {
  const bucket = await options.s3?.newBucket();
  const home = homeFrom(
    { ASTROFLOW_HOME: folder, ...(bucket !== undefined && { ASTROFLOW_ARTIFACTS: `s3://${bucket}` }) },
    folder,
  );
  createHome(home);
  const log = (name: string) => join(home.logs, `${name}-${++logs}.log`);
  let logs = 0;
  let fail: (error: Error) => void = () => {};
  const broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  broken.catch(() => {});

  let address = '';
  const server = createPart(async () => {
    const [, port] = address.split(':');
    const started = await startDevServer({
      binary: temporalBinary(),
      logFile: log('temporal'),
      database: home.database,
      ...(port !== undefined && { port: Number(port) }),
    });
    if (address !== '' && started.address !== address) {
      await started.child.stop();
      throw new Error(`another program took ${address} while our server was down: run it again`);
    }
    address = started.address;
    return started.child;
  }, fail);
  await server.start();
  let services = slowServices({ folder: home.engine, latencyMs: 0 });
  const parts = new Map<Target, Part>([['server', server]]);
  const stop = async () => {
    for (const target of ['worker', 'engine', 'server'] as const) await parts.get(target)?.stop();
  };
  try {
    await openOthers();
  } catch (error) {
    await stop();
    throw error;
  }

  async function openOthers(): Promise<void> {
    if (options.kind === 'engine') {
      const port = await choosePort();
      const engine = createPart(async () => {
        const started = startEngine({ data: home.engine, logFile: log('engine'), port });
        await started.url;
        return started.child;
      }, fail);
      parts.set('engine', engine);
      await engine.start();
      const env = { ...process.env, ASTROFLOW_ENGINE_URL: `http://127.0.0.1:${port}` };
      services = openServices(env);
      const args = [join(packageRoot, 'bin', 'astroflow.js'), 'worker'];
      parts.set(
        'worker',
        worker(args, {
          ...env,
          ASTROFLOW_HOME: folder,
          ASTROFLOW_ARTIFACTS: home.artifacts,
          TEMPORAL_ADDRESS: address,
          TEMPORAL_NAMESPACE: 'default',
        }),
      );
    } else {
      const { bundle, latencyMs } = options;
      const given: ScriptedWorkerOptions = { address, folder, artifacts: home.artifacts, bundle, latencyMs };
      const script = join(packageRoot, 'chaos', 'scripted-worker.ts');
      parts.set('worker', worker(['--import', 'tsx', script, JSON.stringify(given)], process.env));
    }
    await parts.get('worker')?.start();
  }

  function worker(args: string[], env: NodeJS.ProcessEnv): Part {
    const launch = async () =>
      startChild({ name: 'worker', command: process.execPath, args, cwd: packageRoot, logFile: log('worker'), env });
    return createPart(launch, fail);
  }

  return {
    home,
    address,
    parts,
    contents: options.s3 && bucket !== undefined ? bucketContents(options.s3, bucket) : folderContents(home.artifacts),
    deps: { store: await openStore(home.artifacts), services },
    broken,
    stop,
  };
}
