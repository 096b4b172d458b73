import { readFile } from 'node:fs/promises';
import { buildPlan } from '../config/build-plan.ts';
import { type ConfigProblem, parseStageInput } from '../config/parse.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import type { Arm, ProblemSource, RunConfig } from '../config/schema.ts';
import { sha256Hex } from '../core/key.ts';
import { type Json, type Problem, ProblemRowError } from '../core/problem.ts';
import { deriveSeed } from '../core/seed.ts';
import { getTask } from '../core/tasks/index.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { readPrompts } from './prompts.ts';

export interface ResolveConfigInput {
  /** What the person sent, unchecked. */
  input: unknown;
  /** Names the run where the configuration does not. */
  workflowId: string;
  /** Stages that can be started alone also take which arm or problem they are about. */
  workflowType: string;
}

export interface ResolvedInput {
  plan: Plan;
  /** fineTune, reinforce: the arm asked for. */
  arm: Arm;
  /** searchProblem: the row asked for, from 0. */
  problem: number;
}

export function createResolveConfigActivity(deps: ActivityDeps) {
  return {
    /**
     * Checks a configuration, writes its defaults out, stores its problem sets and computes every stage's content key.
     * @throws InvalidConfig with all problems, each with path or file and line; nothing is started.
     */
    resolveConfig: (input: ResolveConfigInput): Promise<ResolvedInput> =>
      attempt(async () => {
        const parsed = parseStageInput(input.input, input.workflowType);
        if ('problems' in parsed) throw invalidConfig(parsed.problems);
        const { config, arm, problem } = parsed;
        const run = config.run ?? runNameOf(input.workflowId);
        const renderer = deps.services(config.policy).renderer;

        const problems: ConfigProblem[] = [];
        const load = async (path: string, source: ProblemSource) => {
          const rows = await readProblems(path, source, config, problems);
          return deps.store.putLines(artifactNames.problems(sha256Hex(JSON.stringify(rows))), rows);
        };
        const searchProblems = await load('search.problems', config.search.problems);
        const rlPrompts = config.rl.prompts === null ? null : await load('rl.prompts', config.rl.prompts);
        const benchmarks = [];
        for (const [name, source] of Object.entries(config.evaluate.benchmarks)) {
          benchmarks.push({ name, problems: await load(`evaluate.benchmarks.${name}`, source) });
        }
        const prompts = await readPrompts(config.roles, getTask(config.task), problems);
        if (problems.length > 0) throw invalidConfig(problems);

        const resolved = { ...config, run };
        const text = JSON.stringify(resolved);
        const plan = buildPlan(config, {
          run,
          config: await deps.store.putJson(artifactNames.config(run, sha256Hex(text)), resolved),
          taskVersion: getTask(config.task).version,
          rendererHash: renderer.hash,
          searchProblems,
          rlPrompts,
          benchmarks,
          prompts:
            prompts && (await deps.store.putJson(artifactNames.prompts(sha256Hex(JSON.stringify(prompts))), prompts)),
        });
        return { plan, arm, problem };
      }),
  };
}

/** A failure is part of the history: a broken data file must not make it large. */
const mostProblemsListed = 100;

function invalidConfig(problems: ConfigProblem[]) {
  const listed = problems.slice(0, mostProblemsListed);
  const lines = listed.map(({ path, message }) => `  ${path}: ${message.slice(0, 200)}`);
  if (listed.length < problems.length) lines.push(`  … and ${problems.length - listed.length} more`);
  return failure(
    'InvalidConfig',
    `the configuration has ${problems.length} problem(s):\n${lines.join('\n')}`,
    listed.map(({ path, message }) => ({ path, message: message.slice(0, 200) })),
  );
}

/** `astro/demo` and `astro/demo/search` name the run `demo`; any other id is made safe. */
function runNameOf(workflowId: string): string {
  const name = workflowId.startsWith('astro/') ? (workflowId.split('/')[1] ?? '') : workflowId;
  const safe = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return safe.slice(0, 40) || 'run';
}

/** Reads or generates one problem set; adds to `problems` instead of throwing, so that all are reported at once. */
async function readProblems(
  path: string,
  source: ProblemSource,
  config: RunConfig,
  problems: ConfigProblem[],
): Promise<Problem[]> {
  const task = getTask(config.task);
  if ('split' in source) {
    try {
      const seed = deriveSeed(config.seed, 'problems', path, source.split);
      return task.generate({ split: source.split, count: source.count, seed });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problems.push({ path, message: error.message });
      return [];
    }
  }
  let text: string;
  try {
    text = await readFile(source.file, 'utf8');
  } catch (error) {
    problems.push({ path: `${path}.file`, message: `cannot read ${source.file}: ${(error as Error).message}` });
    return [];
  }
  const knownBefore = problems.length;
  const rows: Problem[] = [];
  const firstLineOf = new Map<string, number>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    if (source.limit !== undefined && rows.length >= source.limit) break;
    const at = `${source.file}:${index + 1}`;
    try {
      const problem = task.parseRow(JSON.parse(line) as Json);
      const earlier = firstLineOf.get(problem.id);
      if (earlier !== undefined)
        problems.push({ path: at, message: `id "${problem.id}" stands on line ${earlier} too` });
      firstLineOf.set(problem.id, index + 1);
      rows.push(problem);
    } catch (error) {
      if (!(error instanceof ProblemRowError) && !(error instanceof SyntaxError)) throw error;
      problems.push({ path: at, message: error.message });
    }
  }
  if (rows.length === 0 && problems.length === knownBefore)
    problems.push({ path: `${path}.file`, message: `${source.file} holds no problem` });
  return rows;
}
