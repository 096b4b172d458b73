import { z } from 'zod';
import { address, envOr, secret } from './env-or.ts';

/** The section of a trainer that runs each stage as one job: `docs/training-jobs.md`. */

const launcher = z.discriminatedUnion('kind', [
  /** On the worker's own machine. */
  z.strictObject({ kind: z.literal('process') }),
  /** A Ray cluster, by the REST API of its dashboard. */
  z.strictObject({
    kind: z.literal('ray'),
    address: address.default({ env: 'RAY_API_SERVER_ADDRESS' }),
    /** Where the cluster asks for one (`RAY_AUTH_MODE=token`). */
    token: secret.optional(),
  }),
  /** A Slurm cluster, from a machine that has `sbatch`, `squeue` and `scancel`. */
  z.strictObject({
    kind: z.literal('slurm'),
    /** Long options of sbatch: `{ "partition": "gpu", "time": "24:00:00" }`. */
    options: z
      .record(z.string().regex(/^[a-z][a-z-]*$/, "use sbatch's long options without dashes"), z.string().or(z.number()))
      .default({}),
  }),
]);

const setting = z.union([z.string(), z.number(), z.boolean()]);
const recipeOf = <Kind extends string>(kind: Kind) =>
  z.strictObject({
    kind: z.literal(kind),
    /** The interpreter of the environment that the trainer is installed in. */
    python: z.string().min(1).default('python3'),
    /** The trainer's own settings, which win over ours. */
    options: z.record(z.string(), setting).default({}),
    /** Those of fine-tuning and of reinforcement learning alone, which win over `options`. */
    sftOptions: z.record(z.string(), setting).optional(),
    rlOptions: z.record(z.string(), setting).optional(),
  });
const recipe = z.discriminatedUnion('kind', [
  recipeOf('trl'),
  recipeOf('verl'),
  recipeOf('openrlhf'),
  recipeOf('nemo-rl').extend({
    /** Absolute: the folder of a checkout, whose examples are run. */
    checkout: z.string().startsWith('/', 'must be absolute'),
  }),
]);

export const jobTrainer = z.strictObject({
  kind: z.literal('job'),
  launcher: launcher.default({ kind: 'process' }),
  recipe,
  /** Absolute, on storage that workers, jobs and samplers share: data, checkpoints and models of all jobs. */
  folder: envOr,
  /** The base as the trainer loads it, a folder or a hub's name; left out, `policy.base`. */
  model: z.string().min(1).optional(),
  resources: z
    .strictObject({ cpus: z.number().positive().optional(), gpus: z.number().positive().optional() })
    .default({}),
  /** Of one request to the launcher. */
  timeoutMs: z.int().min(1).default(60_000),
  /** How often a job is looked at. */
  pollMs: z.int().min(100).default(5_000),
  /** A job that takes longer is stopped. */
  maxHours: z
    .number()
    .positive()
    .max(24 * 28)
    .default(24 * 7),
});

export type JobTrainerConfig = z.output<typeof jobTrainer>;
export type LauncherConfig = JobTrainerConfig['launcher'];
export type RecipeConfig = JobTrainerConfig['recipe'];
