import { join } from 'node:path';
import { dataConverterFrom, type Target } from './connection.ts';
import { type DevServer, startDevServer } from './dev-server.ts';
import { type Engine, startEngine } from './engine.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { temporalBinary } from './paths.ts';
import { lastLines } from './processes.ts';
import { installRuntime } from './runtime.ts';
import { writeServerFile } from './server-file.ts';
import { type OpenWorkers, openWorkers } from './worker.ts';

/** Everything that `demo` and `up` keep running: dev server, engine, workers. */
export interface Stack {
  target: Target;
  uiUrl: string;
  /** Starts engine and workers; the server is there from the beginning. */
  startWork(): Promise<{ engineUrl: string }>;
  /** Rejects when a part ended for good; never resolves. */
  broken: Promise<never>;
  /** Workers first, so that they can still report; the server last. */
  stop(): Promise<void>;
}

export interface StackOptions {
  home: Home;
  env: NodeJS.ProcessEnv;
  port?: number;
  uiPort?: number;
  print: (text: string) => void;
}

/** An engine that keeps dying is not going to get better by a further start. */
const engineRestarts = 3;

export async function startStack(options: StackOptions): Promise<Stack> {
  const { home, print } = options;
  const dataConverter = dataConverterFrom(options.env);
  const log = (name: string) => join(home.logs, `${name}.log`);
  // The workers read the engine's address from here at every call, so a restarted engine may have another one.
  const env: NodeJS.ProcessEnv = { ...options.env };
  let stopping = false;
  let engine: Engine | null = null;
  let workers: Promise<OpenWorkers> | null = null;
  let forget = () => {};
  let breakDown: (error: unknown) => void = () => {};
  const broken = new Promise<never>((_, reject) => {
    breakDown = (error) => {
      if (!stopping) reject(error);
    };
  });
  broken.catch(() => {});

  const server: DevServer = await startDevServer({
    binary: temporalBinary(),
    logFile: log('temporal'),
    database: home.database,
    ...(options.port !== undefined && { port: options.port }),
    ...(options.uiPort !== undefined && { uiPort: options.uiPort }),
  });
  void server.child.exited.then(() =>
    breakDown(new CliError(`The Temporal dev server has ended. Its log ends with:\n${lastLines(log('temporal'))}`)),
  );
  const { address, uiUrl } = server;
  const target: Target = { connectionOptions: { address }, namespace: 'default', address, dataConverter };
  forget = writeServerFile(home.server, { address, uiUrl });

  /** Starts the engine, and again when it ends by itself; the workers' retries bridge the gap. */
  async function runEngine(restartsLeft: number): Promise<string> {
    const started = startEngine({ data: home.engine, logFile: log('engine') });
    engine = started;
    const url = await started.url;
    env.ASTROFLOW_ENGINE_URL = url;
    forget = writeServerFile(home.server, { address, uiUrl, engineUrl: url });
    void started.child.exited.then(async () => {
      if (stopping) return;
      const tail = lastLines(log('engine'));
      try {
        if (restartsLeft === 0) throw new CliError(`The engine keeps ending. Its log ends with:\n${tail}`);
        print(`The engine has ended; starting it again. Its log ended with:\n${tail}`);
        await runEngine(restartsLeft - 1);
      } catch (error) {
        breakDown(error);
      }
    });
    return url;
  }

  return {
    target,
    uiUrl,
    broken,
    async startWork() {
      installRuntime({ env, logFile: log('worker') });
      // The engine first: a resumed run calls it as soon as there are workers, and they need its address.
      const engineUrl = await runEngine(engineRestarts);
      workers = openWorkers({ target, home, env });
      const opened = await workers;
      opened.running.catch(breakDown);
      return { engineUrl };
    },
    async stop() {
      stopping = true;
      // Workers that are still being opened must not outlive us either; why they could not be is told elsewhere.
      const opened = await workers?.catch(() => null);
      await opened?.stop();
      await engine?.child.stop();
      await server.child.stop();
      forget();
    },
  };
}
