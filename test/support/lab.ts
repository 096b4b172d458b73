import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { type Activities, createActivities } from '../../src/activities/index.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { Arm, RunConfigInput } from '../../src/config/schema.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import { type Doubles, openScripted } from './doubles.ts';

export interface CallOptions {
  attempt?: number;
  environment?: MockActivityEnvironment;
  doubles?: Doubles;
}

type Result<Name extends keyof Activities> = Awaited<ReturnType<Activities[Name]>>;

/** All activities on a store of their own and scripted services, called without a server. */
export interface Lab {
  folder: string;
  store: ArtifactStore;
  /** Calls an activity as Temporal would on its `attempt`-th attempt. */
  call<Name extends keyof Activities>(
    name: Name,
    input: Parameters<Activities[Name]>[0],
    options?: CallOptions,
  ): Promise<Result<Name>>;
  plan(config: RunConfigInput, workflowId?: string): Promise<Plan>;
  close(): Promise<void>;
}

/** The surroundings of one attempt; expected failures are not logged. */
export function mockEnvironment(attempt = 1): MockActivityEnvironment {
  return new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') });
}

/** On a folder of its own, or on one that holds artifacts already. */
export async function openLab(existing?: string): Promise<Lab> {
  const folder = existing ?? (await mkdtemp(join(tmpdir(), 'astroflow-lab-')));
  const store = folderStore(folder);
  const scripted = openScripted();
  const activitiesWith = (doubles: Doubles) =>
    createActivities({ store: doubles.store?.(store) ?? store, services: scripted(doubles) });
  const plain = activitiesWith({});
  const lab: Lab = {
    folder,
    store,
    async call<Name extends keyof Activities>(
      name: Name,
      input: Parameters<Activities[Name]>[0],
      { attempt = 1, environment, doubles }: CallOptions = {},
    ): Promise<Result<Name>> {
      const activities = doubles === undefined ? plain : activitiesWith(doubles);
      const surroundings = environment ?? mockEnvironment(attempt);
      const activity = activities[name] as (input: unknown) => Promise<unknown>;
      const result: unknown = await surroundings.run(activity, input);
      return result as Result<Name>;
    },
    async plan(config, workflowId = 'astro/lab') {
      return (await lab.call('resolveConfig', { input: config, workflowId, workflowType: 'astroPipeline' })).plan;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
  return lab;
}

/** Every file below the store's folder, by name. */
export async function filesOf(lab: Lab, below = ''): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const entry of await readdir(join(lab.folder, below), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(lab.folder, path), await readFile(path));
  }
  return new Map([...found].sort());
}

/** Searches the whole set of a plan; `roundsPerCall` rounds an activity. */
export async function searchAll(lab: Lab, { search }: Plan, roundsPerCall = 100): Promise<void> {
  for (let index = 0; index < search.problems.count; index++) {
    while (!(await lab.call('searchRounds', { search, index, maxRounds: roundsPerCall })).finished);
  }
  const { pageSize } = search.params;
  for (let first = 0; first < search.problems.count; first += pageSize) {
    await lab.call('indexSearchPage', { search, first, count: pageSize, failures: {} });
  }
}

/** Judging and narrating of every tree of a searched plan; nothing to do where no model fills a role. */
export async function narrateAll(lab: Lab, { linearize }: Plan, options?: CallOptions): Promise<void> {
  const { roles, search } = linearize;
  if (roles === undefined) return;
  const plan = { ...linearize, roles };
  for (let first = 0; first < search.problems.count; first += search.params.pageSize) {
    const { slugs } = await lab.call('readTreesPage', { plan, first });
    for (const slug of slugs) await lab.call('narrateTree', { plan, slug }, options);
  }
}

/** Training rows of a searched plan. */
export async function linearizeAll(lab: Lab, plan: Plan, options?: CallOptions) {
  await narrateAll(lab, plan, options);
  for (let first = 0; first < plan.search.problems.count; first += plan.search.params.pageSize) {
    await lab.call('linearizePage', { plan: plan.linearize, first });
  }
  return lab.call('mergeRows', { plan: plan.linearize });
}

/** One arm's fine-tuning in a single chunk, its result stored as the workflow stores it. */
export async function fineTuneArm(lab: Lab, plan: Plan, arm: Arm): Promise<Checkpoint> {
  const sft = plan.sft[arm];
  const base: Checkpoint = { id: 'base', step: 0, base: sft.policy.base, trainerState: null };
  const chunk = { plan: sft, checkpoint: base, live: null, toStep: sft.params.steps };
  const trained = await lab.call('trainSteps', chunk);
  const { checkpoint } = await lab.call('publish', {
    policy: sft.policy,
    checkpoint: trained.checkpoint,
    live: trained.live,
    name: 'sft',
    release: true,
  });
  const frame = { schema: 'astroflow.stage-result/1' as const, startedAtMs: 0, endedAtMs: 0 };
  const usage = { calls: 0, promptTokens: 0, completionTokens: 0 };
  await lab.call('storeResult', {
    name: artifactNames.result('sft', sft.key),
    result: { ...frame, stage: 'sft', arm, key: sft.key, usage, checkpoint },
  });
  return checkpoint;
}
