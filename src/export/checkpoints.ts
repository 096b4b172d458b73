import type { TrainedByJob } from '../activities/job-training.ts';
import type { UpdateResult } from '../activities/reinforce.ts';
import type { StoredStageResult } from '../activities/results.ts';
import type { TrainStepsResult } from '../activities/train.ts';
import { artifactNames, type Plan, type SftPlan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { ExportError } from './folder.ts';

/** A checkpoint of a run, by the name that people use: `search-rl`, `direct-sft`, `search-rl-iter-9`. */
export interface NamedCheckpoint {
  name: string;
  arm: Arm;
  checkpoint: Checkpoint;
  /** Whether the arm's training ends here. */
  final: boolean;
}

/** Where an arm's training ends, or stands if it goes on; null where nothing is trained yet. */
export async function newestCheckpoint(store: ArtifactStore, plan: Plan, arm: Arm): Promise<NamedCheckpoint | null> {
  const withRl = plan.rl[arm].params.iterations > 0;
  if (withRl) {
    const done = await stageEnd(store, 'rl', plan.rl[arm].key);
    if (done !== null) return { name: `${arm}-rl`, arm, checkpoint: done, final: true };
    const newest = await newestOf(store, iterationNames(plan, arm));
    if (newest !== null) return { ...newest, arm, final: false };
  }
  const done = await stageEnd(store, 'sft', plan.sft[arm].key);
  if (done !== null) return { name: `${arm}-sft`, arm, checkpoint: done, final: !withRl };
  const newest = await newestOf(store, stepNames(plan.sft[arm]));
  return newest && { ...newest, arm, final: false };
}

const namePattern = /^(search|direct)-(?:(sft)(?:-step-0*(\d+))?|(rl)(?:-iter-0*(\d+))?)$/;

/** @throws ExportError when the run has no such checkpoint */
export async function checkpointNamed(store: ArtifactStore, plan: Plan, name: string): Promise<NamedCheckpoint> {
  const [, armText, sft, step, , iteration] = namePattern.exec(name) ?? [];
  const arm = plan.arms.find((one) => one === armText);
  if (arm === undefined)
    throw new ExportError(
      `${name} is no checkpoint's name: write ${plan.arms.map((one) => `${one}-sft, ${one}-rl`).join(', ')}, or one on ` +
        `the way, such as ${plan.arms[0]}-rl-iter-9 (from 0) or ${plan.arms[0]}-sft-step-75.`,
    );
  const stage = sft === undefined ? 'rl' : 'sft';
  const plannedStage = plan[stage][arm];
  let found: Checkpoint | null;
  if (step !== undefined) found = await storedCheckpoint(store, artifactNames.sftStep(plannedStage.key, Number(step)));
  else if (iteration !== undefined)
    found = await storedCheckpoint(store, artifactNames.update(plannedStage.key, Number(iteration)));
  else found = await stageEnd(store, stage, plannedStage.key);
  if (found === null) throw new ExportError(`The run ${plan.run} has no checkpoint ${name} (yet).`);
  const way = step ?? iteration;
  const onTheWay = way === undefined ? '' : `-${step === undefined ? 'iter' : 'step'}-${Number(way)}`;
  return { name: `${arm}-${stage}${onTheWay}`, arm, checkpoint: found, final: way === undefined };
}

async function stageEnd(store: ArtifactStore, stage: 'sft' | 'rl', key: string): Promise<Checkpoint | null> {
  const result = await store.find(artifactNames.result(stage, key));
  if (result !== null) return (await store.getJson<StoredStageResult>(result)).checkpoint ?? null;
  const trained = await store.find(artifactNames.trained(stage, key));
  return trained && (await store.getJson<TrainedByJob>(trained)).checkpoint;
}

async function storedCheckpoint(store: ArtifactStore, artifact: string): Promise<Checkpoint | null> {
  const ref = await store.find(artifact);
  return ref && (await store.getJson<UpdateResult | TrainStepsResult>(ref)).checkpoint;
}

interface Candidate {
  name: string;
  artifact: string;
}

/** The last of those that are stored. */
async function newestOf(store: ArtifactStore, candidates: Iterable<Candidate>) {
  let newest: { name: string; checkpoint: Checkpoint } | null = null;
  for (const { name, artifact } of candidates) {
    const checkpoint = await storedCheckpoint(store, artifact);
    if (checkpoint !== null) newest = { name, checkpoint };
  }
  return newest;
}

function* iterationNames(plan: Plan, arm: Arm): Generator<Candidate> {
  const { key, params } = plan.rl[arm];
  for (let iteration = 0; iteration < params.iterations; iteration++)
    yield { name: `${arm}-rl-iter-${iteration}`, artifact: artifactNames.update(key, iteration) };
}

/** Ends of the chunks of fine-tuning, as the workflow makes them. */
export function* chunkEnds({ params }: Pick<SftPlan, 'params'>): Generator<number> {
  for (let step = 0; step < params.steps; ) {
    step = Math.min(step + params.stepsPerChunk, params.steps);
    yield step;
  }
}

function* stepNames(plan: SftPlan): Generator<Candidate> {
  for (const step of chunkEnds(plan))
    yield { name: `${plan.arm}-sft-step-${step}`, artifact: artifactNames.sftStep(plan.key, step) };
}
