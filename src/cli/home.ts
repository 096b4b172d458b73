import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isUrl } from '../services/store/location.ts';

/** Where everything that outlives a process is kept. Deleting the folder forgets all runs. */
export interface Home {
  root: string;
  /** The dev server's SQLite file. */
  database: string;
  /** A folder, or the URL of a store; `openStore` opens either. */
  artifacts: string;
  /** The engine's checkpoints and journal. */
  engine: string;
  logs: string;
  /** Held by the one `demo` or `up` that may run here. */
  lock: string;
  /** Where that one's server listens, for the other commands. */
  server: string;
  /** Which run `demo` continues, by configuration. */
  demo: string;
}

/** `ASTROFLOW_HOME`, else `.astroflow` in the current folder. Artifacts may be elsewhere: `ASTROFLOW_ARTIFACTS`. */
export function homeFrom(env: NodeJS.ProcessEnv, cwd: string): Home {
  const root = resolve(cwd, env.ASTROFLOW_HOME || '.astroflow');
  const artifacts = env.ASTROFLOW_ARTIFACTS || join(root, 'artifacts');
  return {
    root,
    database: join(root, 'temporal.db'),
    artifacts: isUrl(artifacts) ? artifacts : resolve(cwd, artifacts),
    engine: join(root, 'engine'),
    logs: join(root, 'logs'),
    lock: join(root, 'demo.lock'),
    server: join(root, 'server.json'),
    demo: join(root, 'demo.json'),
  };
}

export function createHome(home: Home): void {
  const folders = [home.root, home.engine, home.logs];
  if (!isUrl(home.artifacts)) folders.push(home.artifacts);
  for (const folder of folders) mkdirSync(folder, { recursive: true });
}
