import { evaluateCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type EvaluatePlan } from '../config/plan.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { Problem } from '../core/problem.ts';
import type { AnswerRecord } from '../core/records.ts';
import { deriveSeed } from '../core/seed.ts';
import { getTask } from '../core/tasks/index.ts';
import type { Usage } from '../core/usage.ts';
import { attempt } from './boundary.ts';
import { callSampler } from './calls.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { createLoader, requireArtifact } from './load.ts';
import type { StoredStageResult } from './results.ts';

type Entry = EvaluatePlan['checkpoints'][number];
type Benchmark = EvaluatePlan['benchmarks'][number];

export function createEvaluateActivities(deps: ActivityDeps) {
  const { store } = deps;
  const lines = createLoader(store);

  return {
    /** The checkpoint that an entry of the plan names: a stage's result, or the base itself. */
    loadCheckpoint: (input: { plan: EvaluatePlan; entry: Entry }): Promise<Checkpoint> =>
      attempt(async () => {
        const { entry, plan } = input;
        const { base } = plan.policy;
        if (entry.stage === null || entry.stageKey === null) {
          return { id: 'base', step: 0, base, trainerState: null, samplerModel: base };
        }
        const madeBy = entry.stage === 'sft' ? 'fineTune' : 'reinforce';
        const ref = await requireArtifact(store, artifactNames.result(entry.stage, entry.stageKey), madeBy);
        const { checkpoint } = await store.getJson<StoredStageResult>(ref);
        if (checkpoint === undefined) throw failure('MissingInput', `${ref.uri} names no checkpoint`);
        return checkpoint;
      }),

    /** Samples and grades one checkpoint's answers to one stretch of a benchmark. */
    evaluateChunk: (input: {
      plan: EvaluatePlan;
      entry: Entry;
      checkpoint: Checkpoint;
      benchmark: Benchmark;
      first: number;
    }): Promise<{ answers: number; usage: Usage }> =>
      attempt(async (at) => {
        const { plan, entry, checkpoint, benchmark, first } = input;
        const { params } = plan;
        const name = artifactNames.answers(plan.key, entry, benchmark.name, first);
        const task = getTask(plan.task);
        const { sampler, renderer } = deps.services(plan.policy);
        const problems = (await lines<Problem>(benchmark.problems)).slice(first, first + params.problemsPerChunk);
        const prompts = problems.map((problem) => renderer.prompt(task.prompt(problem)));
        const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
        const earlier = await store.find(name);
        if (earlier !== null) return chunkResult(await store.getLines<AnswerRecord>(earlier), promptTokens);

        const model = checkpoint.samplerModel ?? checkpoint.base;
        const callId = `${evaluateCallPrefix(plan, entry)}${benchmark.name}/${first}`;
        // Without the checkpoint in it: all checkpoints meet the same noise, which pairs their answers.
        const seed = deriveSeed(plan.seed, 'evaluate', benchmark.name, first);
        at.report({ phase: 'sample', total: prompts.length * params.samplesPerProblem });
        const sampled = await callSampler(at, sampler, {
          callId,
          model,
          prompts,
          n: params.samplesPerProblem,
          maxTokens: params.maxTokens,
          temperature: params.temperature,
          stops: [...task.answerStops],
          keepStop: false,
          seed,
          logprobs: false,
        });
        const records = problems.flatMap((problem, position) =>
          (sampled.completions[position] ?? []).map((completion, sample): AnswerRecord => {
            const verdict = task.verify(problem, completion.text, 'score');
            return {
              schema: 'astroflow.answer/1',
              problemId: problem.id,
              family: task.family(problem),
              benchmark: benchmark.name,
              sample,
              checkpoint: entry.name,
              model,
              text: completion.text,
              tokens: completion.tokens.length,
              stopReason: completion.stopReason,
              verdict,
              answerClass: verdict.answer === undefined ? null : task.answerClass(problem, verdict.answer),
              callId,
              seed,
              graderVersion: task.version,
              ...(sampled.engine !== undefined && { engine: sampled.engine }),
              ...(completion.servedBy && { servedBy: completion.servedBy }),
            };
          }),
        );
        await store.putLines(name, records);
        return chunkResult(records, promptTokens);
      }),
  };
}

function chunkResult(records: AnswerRecord[], promptTokens: number): { answers: number; usage: Usage } {
  const completionTokens = records.reduce((sum, record) => sum + record.tokens, 0);
  return { answers: records.length, usage: { calls: 1, promptTokens, completionTokens } };
}
