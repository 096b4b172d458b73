import type { JobTrainerConfig } from '../../config/job-schema.ts';
import { resolveValue } from '../address.ts';
import type { JobBackend } from './jobs.ts';
import { processJobs } from './process.ts';
import { rayJobs } from './ray.ts';
import { createRecipe } from './recipes/index.ts';
import type { Recipe } from './recipes/recipe.ts';
import { slurmJobs } from './slurm.ts';

/** Where jobs run and how the trainer is run in them. */
export interface Jobs {
  backend: JobBackend;
  recipe: Recipe;
  /** Absolute: what jobs read and write lies below it. */
  folder(): string;
}

/** Nothing is contacted here; addresses and folders are read from `env` when they are needed. */
export function createJobs(config: JobTrainerConfig, env: NodeJS.ProcessEnv): Jobs {
  const folder = () => resolveValue(config.folder, env, 'policy.trainer.folder');
  return { backend: createBackend(config, env, folder), recipe: createRecipe(config.recipe), folder };
}

function createBackend(config: JobTrainerConfig, env: NodeJS.ProcessEnv, folder: () => string): JobBackend {
  const { launcher, timeoutMs } = config;
  switch (launcher.kind) {
    case 'process':
      return lazily(() => processJobs(folder()));
    case 'slurm':
      return lazily(() => slurmJobs(folder(), { options: launcher.options, timeoutMs }));
    case 'ray':
      return rayJobs({
        timeoutMs,
        connection() {
          const at = 'policy.trainer.launcher';
          const { address, token } = launcher;
          return {
            address: resolveValue(address, env, `${at}.address`).replace(/\/+$/, ''),
            token: token === undefined ? undefined : resolveValue(token, env, `${at}.token`),
          };
        },
      });
  }
}

/** The folder's name may come from the environment, which is read at each call. */
function lazily(open: () => JobBackend): JobBackend {
  return {
    submit: async (...args) => open().submit(...args),
    get: async (...args) => open().get(...args),
    logs: async (...args) => open().logs(...args),
    stop: async (...args) => open().stop(...args),
  };
}
