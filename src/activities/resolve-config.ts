import { log } from '@temporalio/activity';
import { buildPlan } from '../config/build-plan.ts';
import { type ConfigProblem, parseStageInput } from '../config/parse.ts';
import { artifactNames, type DroppedProblems, type OverlapCount, type Plan } from '../config/plan.ts';
import { withoutSecrets } from '../config/redact.ts';
import type { Arm, RunConfig } from '../config/schema.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import { runNameOf } from '../core/identity.ts';
import { sha256Hex } from '../core/key.ts';
import { getTask } from '../core/tasks/index.ts';
import { problemNotes } from '../report/problem-notes.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { storeParts } from './problem-parts.ts';
import {
  leaveOutOverlap,
  type OverlapRow,
  overlapComplaints,
  overlapOf,
  type ProblemSet,
  readProblemSets,
} from './problem-sets.ts';
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
  /** Defaults written out, secrets left out: what the query `config` answers. */
  config?: RunConfig;
  /** fineTune, reinforce: the arm asked for. */
  arm: Arm;
  /** searchProblem: the row asked for, from 0. */
  problem: number;
}

export function createResolveConfigActivity(deps: ActivityDeps) {
  const { store } = deps;
  return {
    /**
     * Checks a configuration, writes its defaults out, stores its problem sets and computes every stage's content key.
     * @throws InvalidConfig with all problems, each with path or file and line; nothing is stored and nothing started.
     */
    resolveConfig: (input: ResolveConfigInput): Promise<ResolvedInput> =>
      attempt(async () => {
        const parsed = parseStageInput(input.input, input.workflowType);
        if ('problems' in parsed) throw invalidConfig(parsed.problems);
        const { config, arm, problem } = parsed;
        const run = config.run ?? runNameOf(input.workflowId);
        const task = getTask(config.task);
        const renderer = deps.services(config.policy).renderer;

        const complaints: ConfigProblem[] = [];
        const read = await readProblemSets(config, complaints);
        const isLeftOut = config.evaluate.overlap === 'leave-out';
        const { sets, overlapping } = isLeftOut
          ? leaveOutOverlap(read, task)
          : { sets: read, overlapping: overlapOf(read, task) };
        if (config.evaluate.overlap === 'refuse') complaints.push(...overlapComplaints(overlapping));
        if (read.search.problems.length > 0 && sets.search.problems.length === 0)
          complaints.push({ path: 'evaluate.overlap', message: 'no problem to search is left without overlap' });
        const prompts = await readPrompts(config.roles, task, complaints);
        if (complaints.length > 0) throw invalidConfig(complaints);

        const searchProblems = await storeProblems(sets.search);
        const rlPrompts = sets.rl && (await storeProblems(sets.rl));
        const benchmarks = [];
        for (const set of sets.benchmarks) {
          const prompts = sha256Hex(JSON.stringify(set.problems.map((problem) => task.prompt(problem))));
          benchmarks.push({ name: set.name, problems: await storeProblems(set), prompts });
        }
        const dropped = await storeDropped([sets.search, ...(sets.rl ? [sets.rl] : []), ...sets.benchmarks]);
        const overlap = await storeOverlap(run, overlapping, isLeftOut);
        for (const note of problemNotes({ dropped, overlap })) log.warn(note, { run });

        const resolved = { ...config, run };
        const text = JSON.stringify(resolved);
        const plan = buildPlan(config, {
          run,
          config: await store.putJson(artifactNames.config(run, sha256Hex(text)), resolved),
          taskVersion: task.version,
          rendererHash: renderer.hash,
          searchProblems,
          rlPrompts,
          benchmarks,
          dropped,
          overlap,
          prompts: prompts && (await store.putJson(artifactNames.prompts(sha256Hex(JSON.stringify(prompts))), prompts)),
        });
        // Which keys the run uses: how others find what it stored, without a server. Resolved anew, it may be replaced.
        await store.replaceText(artifactNames.run(run, 'plan.json'), `${JSON.stringify(plan, null, 2)}\n`);
        return { plan, config: withoutSecrets(resolved), arm, problem };
      }),
  };

  async function storeProblems({ problems }: ProblemSet): Promise<ArtifactRef> {
    const set = await store.putLines(artifactNames.problems(sha256Hex(JSON.stringify(problems))), problems);
    await storeParts(store, set, problems);
    return set;
  }

  async function storeDropped(sets: readonly ProblemSet[]): Promise<DroppedProblems[]> {
    const stored: DroppedProblems[] = [];
    for (const { path, dropped } of sets.filter((set) => set.dropped.length > 0)) {
      const list = artifactNames.dropped(sha256Hex(JSON.stringify(dropped)));
      await store.putLines(list, dropped);
      stored.push({ set: path, count: dropped.length, list });
    }
    return stored;
  }

  async function storeOverlap(run: string, rows: readonly OverlapRow[], leftOut: boolean): Promise<OverlapCount[]> {
    if (rows.length === 0) return [];
    const list = artifactNames.overlap(run, sha256Hex(JSON.stringify(rows)));
    await store.putLines(list, rows);
    return [...new Set(rows.map((row) => row.benchmark))].map((set) => {
      const found = rows.filter((row) => row.benchmark === set);
      const tests = (those: readonly OverlapRow[]) => new Set(those.map((row) => row.problem)).size;
      return { set, count: tests(found), exact: tests(found.filter((row) => row.how === 'exact')), leftOut, list };
    });
  }
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
