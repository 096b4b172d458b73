import { artifactNames, type RlPlan } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { Problem } from '../core/problem.ts';
import type { RlIteration, RolloutRecord } from '../core/records.ts';
import { inDifficultyBand } from '../core/rl/difficulty.ts';
import { epochBatch } from '../core/rl/epochs.ts';
import { remember } from '../core/rl/guards.ts';
import { summarizeIteration } from '../core/rl/iteration.ts';
import { buildPolicyBatches } from '../core/rl/policy-data.ts';
import { policyLag } from '../core/rl/policy-lag.ts';
import { importanceRatioStats, logprobGap } from '../core/rl/ratios.ts';
import { outcomeReward } from '../core/rl/reward.ts';
import { rolloutUsage } from '../core/rl/usage.ts';
import { deriveSeed } from '../core/seed.ts';
import { getTask } from '../core/tasks/index.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import type { LiveModel } from '../services/trainer/trainer.ts';
import { attempt } from './boundary.ts';
import { callSampler } from './calls.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { isContinued, liveModelAt, saveCheckpoint } from './live-model.ts';
import { createLoader, requireArtifact } from './load.ts';
import { recordIteration } from './record-iteration.ts';
import type { StoredStageResult } from './results.ts';
import { checkPass, recordedPasses } from './resume-gate.ts';
import type { IndexedTree } from './search.ts';

export interface UpdateResult {
  /** Absent in what release 0.1 stored. */
  schema?: 'astroflow.rl-update/1';
  checkpoint: Checkpoint;
  live: LiveModel | null;
  summary: RlIteration;
  /** What the iteration's answers cost. */
  usage: Usage;
}

/** Where an arm stands: after the iterations that this or an earlier run has stored. */
export interface RlStart {
  /** Problems to train on. */
  prompts: ArtifactRef;
  /** Tokens that the matched arm sampled. */
  tokenBudget: number | null;
  iteration: number;
  checkpoint: Checkpoint;
  usage: Usage;
  /** What the guards compare. */
  history: RlIteration[];
}

/** Checkpoints every so many iterations outlive the run; the ones between expire. */
const milestoneEvery = 10;

export function createReinforceActivities(deps: ActivityDeps) {
  const { store } = deps;
  const lines = createLoader(store);

  return {
    /** What an arm trains on, and where it begins: behind the last iteration whose update is stored. */
    prepareRl: (input: { plan: RlPlan }): Promise<RlStart> =>
      attempt(async () => {
        const { plan } = input;
        const sft = await stageResult(artifactNames.result('sft', plan.sftKey), 'fineTune');
        if (sft.checkpoint === undefined)
          throw failure('MissingInput', `the sft result ${plan.sftKey} has no checkpoint`);
        const matched =
          plan.matchTokensOfKey === null
            ? null
            : await stageResult(artifactNames.result('rl', plan.matchTokensOfKey), 'reinforce');
        const start: RlStart = {
          prompts: plan.prompts ?? (await searchedPrompts(plan)),
          tokenBudget: matched?.usage.completionTokens ?? null,
          iteration: 0,
          // A new stage: its own step count and a fresh optimiser.
          checkpoint: { ...sft.checkpoint, step: 0 },
          usage: noUsage,
          history: [],
        };
        for (; start.iteration < plan.params.iterations; start.iteration++) {
          const ref = await store.find(artifactNames.update(plan.key, start.iteration));
          if (ref === null) break;
          const { checkpoint, usage, summary } = await store.getJson<UpdateResult>(ref);
          start.checkpoint = checkpoint;
          start.usage = addUsage(start.usage, usage);
          start.history = remember(start.history, summary);
        }
        return start;
      }),

    /** Samples and grades one iteration's answers under a published checkpoint. */
    rollout: (input: {
      plan: RlPlan;
      iteration: number;
      prompts: ArtifactRef;
      checkpoint: Checkpoint;
    }): Promise<{ ref: ArtifactRef; usage: Usage }> =>
      attempt(async (at) => {
        const { plan, iteration } = input;
        const { params, arm } = plan;
        const name = artifactNames.rollouts(plan.key, iteration);
        const earlier = await store.find(name);
        if (earlier !== null)
          return { ref: earlier, usage: rolloutUsage(await store.getLines<RolloutRecord>(earlier)) };

        const model = input.checkpoint.samplerModel;
        if (model === undefined) throw failure('MissingInput', `checkpoint ${input.checkpoint.id} is not published`);
        const task = getTask(plan.task);
        const { sampler, renderer } = deps.services(plan.policy);
        const all = await lines<Problem>(input.prompts);
        const problems = epochBatch(
          all,
          deriveSeed(plan.seed, plan.key, 'prompts'),
          iteration,
          params.promptsPerIteration,
        );
        const prompts = problems.map((problem) => renderer.prompt(task.prompt(problem)));
        const callId = `rl/${plan.key}/iter-${iteration}/0`;
        const seed = deriveSeed(plan.seed, callId);
        at.report({ phase: 'sample', total: prompts.length * params.groupSize });
        const answer = await callSampler(at, sampler, {
          callId,
          model,
          prompts,
          n: params.groupSize,
          maxTokens: params.maxTokens,
          temperature: params.temperature,
          stops: [...task.answerStops],
          keepStop: false,
          seed,
          logprobs: 'required',
        });
        const records: RolloutRecord[] = problems.flatMap((problem, group) =>
          (answer.completions[group] ?? []).map((completion, sample): RolloutRecord => {
            const verdict = task.verify(problem, completion.text);
            const truncated = completion.stopReason === 'length';
            return {
              schema: 'astroflow.rollout/1',
              arm,
              iteration,
              problemId: problem.id,
              family: task.family(problem),
              group,
              sample,
              promptTokens: prompts[group]?.tokens ?? [],
              completionTokens: completion.tokens,
              samplerLogprobs: completion.logprobs ?? [],
              text: completion.text,
              policyVersion: model,
              sampling: { temperature: params.temperature, maxTokens: params.maxTokens, seed },
              reward: outcomeReward(verdict, truncated),
              verdict,
              graderVersion: task.version,
              truncated,
              callId,
              attempt: at.number,
              ...(completion.servedBy && { servedBy: completion.servedBy }),
            };
          }),
        );
        // Before they are stored: answers that nothing can be trained on would stay for good.
        requireLogprobs(records, 'the sampler (policy.sampler)');
        const ref = await store.putLines(name, records);
        at.stored();
        return { ref, usage: rolloutUsage(await store.getLines<RolloutRecord>(ref)) };
      }),

    /** One policy update on one iteration's answers, ending in a stored checkpoint. */
    updatePolicy: (input: {
      plan: RlPlan;
      iteration: number;
      rollouts: ArtifactRef;
      checkpoint: Checkpoint;
      live: LiveModel | null;
    }): Promise<UpdateResult> =>
      attempt(async (at) => {
        const { plan, iteration, checkpoint } = input;
        const { params } = plan;
        const name = artifactNames.update(plan.key, iteration);
        const earlier = await store.find(name);
        if (earlier !== null) {
          const result = await store.getJson<UpdateResult>(earlier);
          recordIteration(at.record, result.summary);
          return { ...result, live: null };
        }

        const task = getTask(plan.task);
        const { trainer } = deps.services(plan.policy);
        const rollouts = await store.getLines<RolloutRecord>(input.rollouts);
        requireLogprobs(rollouts, store.locate(input.rollouts.uri));
        const batches = buildPolicyBatches(rollouts, params);
        const gate = { store, limits: plan.resume };
        let live = await liveModelAt(trainer, checkpoint, input.live, at, gate, { optimizer: iteration > 0 });
        const loss = lossOf(params);
        const losses: number[] = [];
        const stats = [];
        for (const batch of batches) {
          const done = await trainer.step(
            live,
            batch.data,
            loss,
            { ...params.adam, learningRate: params.learningRate },
            at.signal,
          );
          live = done.live;
          const pass = losses.length;
          if (pass < recordedPasses(checkpoint)) {
            const { data } = batch;
            const passName = artifactNames.rlPass(plan.key, iteration, pass);
            await checkPass(gate, passName, { checkpoint, data, logprobs: done.result.logprobs });
          }
          losses.push(done.result.loss);
          stats.push(importanceRatioStats(batch, done.result.logprobs));
          at.report({ phase: 'update', done: losses.length, total: batches.length });
        }
        const last = iteration === params.iterations - 1;
        const saved = await saveCheckpoint(trainer, live, store, {
          id: `${plan.key}/iter-${iteration}`,
          step: checkpoint.step + batches.length,
          base: checkpoint.base,
          name: `iter-${iteration}`,
          keep: last || iteration % milestoneEvery === milestoneEvery - 1,
          resultName: name,
          lastBatch: batches.at(-1)?.data ?? [],
          at,
        });
        const summary = summarizeIteration(iteration, rollouts, task.phrases, {
          loss: losses.length === 0 ? null : losses.reduce((a, b) => a + b, 0),
          logprobGap: logprobGap(stats),
          policyVersion: checkpoint.samplerModel ?? checkpoint.id,
          restarts: {
            rollouts: (rollouts[0]?.attempt ?? 1) - 1,
            update: at.number - 1,
            // An arm's first iteration always makes a model: it starts from another stage's checkpoint.
            restored: iteration > 0 && !isContinued(checkpoint, input.live, at),
          },
        });
        const result: UpdateResult = {
          schema: 'astroflow.rl-update/1',
          ...saved,
          summary,
          usage: rolloutUsage(rollouts),
        };
        const stored = await store.getJson<UpdateResult>(await store.putJson(name, result));
        recordIteration(at.record, stored.summary);
        at.record.set('astroflow_rl_policy_lag', await lagOf(plan, rollouts, stored.summary), {});
        return stored.checkpoint.trainerState === saved.checkpoint.trainerState ? result : { ...stored, live: null };
      }),
  };

  /** Earlier versions are looked up only where answers are of another one than is trained. */
  async function lagOf(plan: RlPlan, rollouts: readonly RolloutRecord[], now: RlIteration): Promise<number> {
    const used = new Set(rollouts.map(({ policyVersion }) => policyVersion));
    const versions = [now.policyVersion];
    const isKnown = () => [...used].every((version) => versions.includes(version));
    for (let iteration = now.iteration - 1; iteration >= 0 && !isKnown(); iteration--) {
      const ref = await requireArtifact(store, artifactNames.update(plan.key, iteration), 'reinforce');
      versions.unshift((await store.getJson<UpdateResult>(ref)).summary.policyVersion);
    }
    return policyLag(used, versions);
  }

  async function stageResult(name: string, madeBy: string): Promise<StoredStageResult> {
    return store.getJson<StoredStageResult>(await requireArtifact(store, name, madeBy));
  }

  /** Searched problems inside the difficulty band, by the pass rate of their trees' rollouts. */
  async function searchedPrompts(plan: RlPlan): Promise<ArtifactRef> {
    const { low, high } = plan.params.difficulty;
    const problems = new Map((await lines<Problem>(plan.search.problems)).map((problem) => [problem.id, problem]));
    const kept: Problem[] = [];
    for (let first = 0; first < plan.search.problems.count; first += plan.search.params.pageSize) {
      const name = artifactNames.searchIndex(plan.search, first);
      const index = await store.getLines<IndexedTree>(await requireArtifact(store, name, 'searchCorpus'));
      for (const { problemId, tree, passRate } of index) {
        const problem = problems.get(problemId);
        if (tree === null || problem === undefined) continue;
        if (passRate === null || inDifficultyBand(passRate, low, high)) kept.push(problem);
      }
    }
    if (kept.length === 0) {
      throw failure('MissingInput', `no searched problem has a pass rate inside rl.difficulty [${low}, ${high}]`);
    }
    return store.putLines(artifactNames.rlPrompts(plan.key), kept);
  }
}

/** @throws ServiceRefused (final): asking again gives the same answers */
function requireLogprobs(records: readonly RolloutRecord[], from: string): void {
  const bare = records.find((record) => record.samplerLogprobs.length !== record.completionTokens.length);
  if (bare === undefined) return;
  const { problemId, sample, samplerLogprobs, completionTokens } = bare;
  throw failure(
    'ServiceRefused',
    `${from}: answer ${sample} to ${problemId} has ${samplerLogprobs.length} log-probabilities for ` +
      `${completionTokens.length} tokens, and reinforcement learning needs one for each: use a sampler that gives ` +
      'them ("astroflow check" tells), or set "rl.<arm>.iterations" to 0',
  );
}

function lossOf(params: RlPlan['params']): { name: RlPlan['params']['loss']; config?: Record<string, number> } {
  if (params.loss !== 'ppo') return { name: params.loss };
  return { name: 'ppo', config: { clip_low_threshold: params.clipLow, clip_high_threshold: params.clipHigh } };
}
