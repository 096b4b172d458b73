import { evaluateCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type EvaluatePlan } from '../config/plan.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { Problem } from '../core/problem.ts';
import type { AnswerRecord } from '../core/records.ts';
import { deriveSeed } from '../core/seed.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import type { Usage } from '../core/usage.ts';
import { ServiceError } from '../services/errors.ts';
import { limiter } from '../services/limit.ts';
import { patiently, realSleep } from '../services/openai/patience.ts';
import type { Completion, Prompt, SampleRequest, SampleResult } from '../services/sampler/sampler.ts';
import { type Attempt, attempt } from './boundary.ts';
import { callSampler } from './calls.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { createLoader, requireArtifact } from './load.ts';
import type { StoredStageResult } from './results.ts';

type Entry = EvaluatePlan['checkpoints'][number];
type Benchmark = EvaluatePlan['benchmarks'][number];

interface ChunkInput {
  plan: EvaluatePlan;
  entry: Entry;
  checkpoint: Checkpoint;
  benchmark: Benchmark;
  first: number;
  oneByOne?: boolean;
}

/** What came back for one problem. */
type Asked = { callId: string; seed: number } & (
  | { completions: readonly Completion[]; engine?: string | undefined }
  | { error: string }
);

/** Problems that are asked for one by one at a time; the service's gate may let fewer through. */
const problemsAtOnce = 8;

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

    /**
     * Samples and grades one checkpoint's answers to one stretch of a benchmark. `oneByOne` is for a stretch that a service
     * refused as a whole: each problem is asked for by itself, and one that gets no answer is recorded as an error.
     */
    evaluateChunk: (input: ChunkInput): Promise<{ answers: number; usage: Usage }> =>
      attempt(async (at) => {
        const { plan, entry, benchmark, first } = input;
        const name = artifactNames.answers(plan.key, entry, benchmark.name, first);
        const task = getTask(plan.task);
        const { renderer } = deps.services(plan.policy);
        const { problemsPerChunk } = plan.params;
        const problems = (await lines<Problem>(benchmark.problems)).slice(first, first + problemsPerChunk);
        const prompts = problems.map((problem) => renderer.prompt(task.prompt(problem)));
        const promptTokens = new Map(problems.map(({ id }, i) => [id, prompts[i]?.tokens.length ?? 0]));
        const earlier = await store.find(name);
        if (earlier !== null) return chunkResult(await store.getLines<AnswerRecord>(earlier), promptTokens);

        const asked = input.oneByOne ? await askEach(input, prompts, at) : await askAll(input, prompts, at);
        const records = problems.flatMap((problem, position) =>
          recordsOf(input, task, problem, asked[position] as Asked),
        );
        const ref = await store.putLines(name, records);
        at.stored();
        return chunkResult(await store.getLines<AnswerRecord>(ref), promptTokens);
      }),
  };

  /** All prompts of a chunk in one call. */
  async function askAll(input: ChunkInput, prompts: readonly Prompt[], at: Attempt): Promise<Asked[]> {
    const { plan, benchmark, first } = input;
    // Without the checkpoint in it: all checkpoints meet the same noise, which pairs their answers.
    const seed = deriveSeed(plan.seed, 'evaluate', benchmark.name, first);
    const callId = callIdOf(input);
    at.report({ phase: 'sample', total: prompts.length * plan.params.samplesPerProblem });
    const { completions, engine } = await ask(input, { callId, seed, prompts: [...prompts] }, at);
    return prompts.map((_, position) => ({ callId, seed, completions: completions[position] ?? [], engine }));
  }

  /** A call for each prompt; what a service cannot or will not answer stands for itself. */
  async function askEach(input: ChunkInput, prompts: readonly Prompt[], at: Attempt): Promise<Asked[]> {
    const { plan, benchmark, first } = input;
    const limited = limiter(problemsAtOnce);
    let done = 0;
    return Promise.all(
      prompts.map((prompt, position) =>
        limited(async (): Promise<Asked> => {
          const callId = `${callIdOf(input)}/one-${position}`;
          const seed = deriveSeed(plan.seed, 'evaluate', benchmark.name, first, 'one', position);
          try {
            const call = () => ask(input, { callId, seed, prompts: [prompt] }, at);
            const { completions, engine } = await patiently(call, realSleep, at.signal);
            return { callId, seed, completions: completions[0] ?? [], engine };
          } catch (error) {
            if (at.signal.aborted || !(error instanceof ServiceError)) throw error;
            return { callId, seed, error: error.message };
          } finally {
            done += 1;
            at.report({ phase: 'sample one by one', done, total: prompts.length });
          }
        }),
      ),
    );
  }

  function ask(
    { plan, checkpoint }: ChunkInput,
    call: Pick<SampleRequest, 'callId' | 'seed' | 'prompts'>,
    at: Attempt,
  ): Promise<SampleResult> {
    const { params } = plan;
    return callSampler(at, deps.services(plan.policy).sampler, {
      ...call,
      model: checkpoint.samplerModel ?? checkpoint.base,
      n: params.samplesPerProblem,
      maxTokens: params.maxTokens,
      temperature: params.temperature,
      stops: [...getTask(plan.task).answerStops],
      keepStop: false,
      logprobs: false,
    });
  }
}

function recordsOf(
  { plan, entry, checkpoint, benchmark }: ChunkInput,
  task: Task,
  problem: Problem,
  asked: Asked,
): AnswerRecord[] {
  const { callId, seed } = asked;
  const of = {
    schema: 'astroflow.answer/1' as const,
    problemId: problem.id,
    family: task.family(problem),
    benchmark: benchmark.name,
    checkpoint: entry.name,
    model: checkpoint.samplerModel ?? checkpoint.base,
    ...{ callId, seed, graderVersion: task.version },
  };
  if ('error' in asked) {
    const { error } = asked;
    const verdict = { correct: false, reason: 'no answer: the service gave an error' };
    const none = { text: '', tokens: 0, stopReason: 'stop' as const, verdict, answerClass: null, error };
    return Array.from({ length: plan.params.samplesPerProblem }, (_, sample) => ({ ...of, sample, ...none }));
  }
  return asked.completions.map(({ text, tokens, stopReason, servedBy }, sample): AnswerRecord => {
    const verdict = task.verify(problem, text, 'score');
    return {
      ...of,
      sample,
      text,
      tokens: tokens.length,
      stopReason,
      verdict,
      answerClass: verdict.answer === undefined ? null : task.answerClass(problem, verdict.answer),
      ...(asked.engine !== undefined && { engine: asked.engine }),
      ...(servedBy && { servedBy }),
    };
  });
}

const callIdOf = ({ plan, entry, benchmark, first }: ChunkInput) =>
  `${evaluateCallPrefix(plan, entry)}${benchmark.name}/${first}`;

function chunkResult(
  records: readonly AnswerRecord[],
  promptTokens: ReadonlyMap<string, number>,
): { answers: number; usage: Usage } {
  const given = records.filter(({ error }) => error === undefined);
  const problems = [...new Set(given.map(({ problemId }) => problemId))];
  const usage = {
    calls: new Set(given.map(({ callId }) => callId)).size,
    promptTokens: problems.reduce((sum, id) => sum + (promptTokens.get(id) ?? 0), 0),
    completionTokens: given.reduce((sum, { tokens }) => sum + tokens, 0),
  };
  return { answers: records.length, usage };
}
