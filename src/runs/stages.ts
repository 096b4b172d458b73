import type { UpdateResult } from '../activities/reinforce.ts';
import type { StoredStageResult } from '../activities/results.ts';
import type { IndexedTree } from '../activities/search.ts';
import type { TrainStepsResult } from '../activities/train.ts';
import {
  artifactNames,
  type EvaluatePlan,
  type LinearizePlan,
  type Plan,
  type RlPlan,
  type SftPlan,
} from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import type { Progress, StageProgress } from '../core/progress.ts';
import type { RlIteration } from '../core/records.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { readIfThere } from './plans.ts';
import { searchedProblems } from './problems.ts';

type Counted = Pick<StageProgress, 'name' | 'arm' | 'total' | 'unit'>;
type SoFar = Pick<StageProgress, 'done' | 'tokens' | 'note' | 'policy'>;

/**
 * How far a run is by what it has stored, which needs no server and no worker: a stage is done when its result is there,
 * and begun when a part of it is. Whether somebody works on it, or a step failed, the store does not know.
 */
export async function storedProgress(store: ArtifactStore, plan: Plan): Promise<Progress> {
  const problems = plan.search.problems.count;
  const stages: StageProgress[] = [
    await stageOf(
      store,
      { name: 'search', total: problems, unit: 'problems' },
      artifactNames.searchResult(plan.search),
      () => searchSoFar(store, plan),
    ),
    await stageOf(
      store,
      { name: 'linearize', total: problems, unit: 'trees' },
      artifactNames.result('linearize', plan.linearize.key),
      () => linearizeSoFar(store, plan.linearize),
    ),
  ];
  for (const arm of plan.arms) {
    const sft = plan.sft[arm];
    const sftStage: Counted = { name: 'sft', arm, total: sft.params.steps, unit: 'steps' };
    stages.push(await stageOf(store, sftStage, artifactNames.result('sft', sft.key), () => sftSoFar(store, sft)));
    const rl = plan.rl[arm];
    if (rl.params.iterations === 0) continue;
    const rlStage: Counted = { name: 'rl', arm, total: rl.params.iterations, unit: 'iterations' };
    stages.push(await stageOf(store, rlStage, artifactNames.result('rl', rl.key), () => rlSoFar(store, rl)));
  }
  const { evaluate } = plan;
  const answers = evaluate.benchmarks.reduce((sum, { problems }) => sum + problems.count, 0);
  const total = answers * evaluate.params.samplesPerProblem * evaluate.checkpoints.length;
  stages.push(
    await stageOf(store, { name: 'evaluate', total, unit: 'answers' }, artifactNames.evaluationResult(evaluate), () =>
      answersSoFar(store, evaluate),
    ),
  );
  const hasReport = (await store.list(`runs/${plan.run}`)).includes('summary.json');
  const report: StageProgress = { name: 'report', state: 'waiting', done: 0, total: 1, unit: 'report', tokens: 0 };
  stages.push(hasReport ? { ...report, state: 'done', done: 1 } : report);
  return { run: plan.run, workflowId: `astro/${plan.run}`, stages };
}

/** The points of an arm's learning curve so far. */
export async function rlCurve(store: ArtifactStore, plan: RlPlan): Promise<RlIteration[]> {
  const curve: RlIteration[] = [];
  for (;;) {
    const update = await readIfThere<UpdateResult>(store, artifactNames.update(plan.key, curve.length));
    if (update === null) return curve;
    curve.push(update.summary);
  }
}

/** Loss of an arm's fine-tuning so far, by the step its chunk ended with. */
export async function sftCurve(store: ArtifactStore, { key }: SftPlan): Promise<{ step: number; loss: number }[]> {
  const chunks = await sftChunks(store, key);
  return chunks.map(({ checkpoint, loss }) => ({ step: checkpoint.step, loss }));
}

async function stageOf(
  store: ArtifactStore,
  stage: Counted,
  resultName: string,
  soFar: () => Promise<SoFar>,
): Promise<StageProgress> {
  const result = await readIfThere<StoredStageResult>(store, resultName);
  if (result === null) {
    const made = await soFar();
    return { ...stage, ...made, state: made.done > 0 || made.note !== undefined ? 'begun' : 'waiting' };
  }
  const { startedAtMs, endedAtMs, usage, stopped } = result;
  return {
    ...stage,
    state: 'done',
    done: result.iterations ?? stage.total,
    tokens: usage.completionTokens,
    startedAtMs,
    endedAtMs,
    ...(stopped !== undefined && { note: stopped }),
  };
}

async function searchSoFar(store: ArtifactStore, { search }: Plan): Promise<SoFar> {
  const problems = await store.getLines<Problem>(search.problems);
  const all = await searchedProblems(store, search, problems);
  const begun = all.filter(({ state }) => state === 'begun').length;
  const done = all.filter(({ state }) => state === 'finished' || state === 'given up').length;
  const note = begun > 0 ? `${begun} begun` : undefined;
  return { done, tokens: await indexedTokens(store, search), ...(note && { note }) };
}

/** Of the pages of the index that are written. */
async function indexedTokens(store: ArtifactStore, search: Plan['search']): Promise<number> {
  let tokens = 0;
  for (let first = 0; first < search.problems.count; first += search.params.pageSize) {
    const ref = await store.find(artifactNames.searchIndex(search, first));
    if (ref === null) continue;
    for (const { usage } of await store.getLines<IndexedTree>(ref)) tokens += usage.completionTokens;
  }
  return tokens;
}

async function linearizeSoFar(store: ArtifactStore, plan: LinearizePlan): Promise<SoFar> {
  const { pageSize } = plan.search.params;
  const total = plan.search.problems.count;
  let done = 0;
  for (let first = 0; first < total; first += pageSize) {
    if ((await store.find(artifactNames.rowsPart(plan, first))) !== null) done += Math.min(pageSize, total - first);
  }
  return { done, tokens: 0 };
}

async function sftSoFar(store: ArtifactStore, { key }: SftPlan): Promise<SoFar> {
  const chunks = await sftChunks(store, key);
  const last = chunks.at(-1);
  if (last === undefined) return { done: 0, tokens: 0 };
  const tokens = chunks.reduce((sum, chunk) => sum + chunk.tokens, 0);
  return { done: last.checkpoint.step, tokens, note: `loss ${last.loss.toFixed(3)}` };
}

async function sftChunks(store: ArtifactStore, key: string): Promise<TrainStepsResult[]> {
  const names = (await store.list(`sft/${key}`)).filter((name) => /^step-\d+\.json$/.test(name));
  const chunks: TrainStepsResult[] = [];
  for (const name of names) {
    const chunk = await readIfThere<TrainStepsResult>(store, `sft/${key}/${name}`);
    if (chunk !== null) chunks.push(chunk);
  }
  return chunks;
}

async function rlSoFar(store: ArtifactStore, plan: RlPlan): Promise<SoFar> {
  const curve = await rlCurve(store, plan);
  const last = curve.at(-1);
  if (last === undefined) return { done: 0, tokens: 0 };
  const perIteration = plan.params.promptsPerIteration * plan.params.groupSize;
  const tokens = Math.round(curve.reduce((sum, { meanTokens }) => sum + meanTokens * perIteration, 0));
  return {
    done: curve.length,
    tokens,
    policy: last.policyVersion,
    note: `reward ${last.meanReward.toFixed(2)}, pass rate ${last.passRate.toFixed(2)}, ${last.meanTokens.toFixed(0)} tokens`,
  };
}

/** Answers that are stored, whole chunks of them. */
export async function answersSoFar(store: ArtifactStore, plan: EvaluatePlan): Promise<SoFar> {
  const { problemsPerChunk, samplesPerProblem } = plan.params;
  let problems = 0;
  for (const entry of plan.checkpoints) {
    for (const benchmark of plan.benchmarks) {
      const folder = artifactNames.answers(plan.key, entry, benchmark.name, 0).replace(/\/[^/]*$/, '');
      for (const name of await store.list(folder)) {
        const first = name.match(/^(.*)-(\d+)\.jsonl$/);
        if (first?.[1] !== benchmark.name) continue;
        problems += Math.min(problemsPerChunk, benchmark.problems.count - Number(first[2]));
      }
    }
  }
  return { done: problems * samplesPerProblem, tokens: 0 };
}
