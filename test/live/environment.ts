import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { stampName, venvsFolder } from '../../scripts/services-venvs.mjs';

/** A third-party service's Python. */
export interface Environment {
  python: string;
  /** It was not made, or not to its end, by `node scripts/services-venvs.mjs`: tests that need it are skipped. */
  missing: boolean;
}

export function environment(name: 'export' | 'jobs' | 'recipes' | 'skyrl' | 'statistics' | 'vllm'): Environment {
  const venv = join(venvsFolder, name);
  return { python: join(venv, 'bin', 'python'), missing: !existsSync(join(venv, stampName)) };
}
