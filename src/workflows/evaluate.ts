import { condition, continueAsNew } from '@temporalio/workflow';
import { artifactNames, type EvaluatePlan } from '../config/plan.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import { sampleActivities, trainActivities } from './activities.ts';
import { createControl } from './control.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

type Entry = EvaluatePlan['checkpoints'][number];

/** Carried from run to run when the workflow continues as new: chunks before the next one are done. */
interface EvaluateState {
  next: number;
  answers: number;
  usage: Usage;
  startedAtMs: number;
}

/** Checkpoints × benchmarks → graded answers. All checkpoints answer the same problems with the same seeds. */
export async function evaluate(
  input: StageInput<EvaluatePlan> & { state?: EvaluateState } = {},
): Promise<StageOutcome> {
  const control = createControl(input);
  const plan = await planOf(input, (resolved) => resolved.plan.evaluate);
  const { run, key, onFailure, policy, checkpoints, benchmarks, params } = plan;
  const problems = benchmarks.reduce((sum, benchmark) => sum + benchmark.problems.count, 0);
  const total = problems * params.samplesPerProblem * checkpoints.length;
  const resultName = artifactNames.evaluationResult(plan);
  const state: EvaluateState = input?.state ?? { next: 0, answers: 0, usage: noUsage, startedAtMs: Date.now() };
  const sofar = { startedAtMs: state.startedAtMs, done: state.answers, tokens: state.usage.completionTokens };

  const names = { name: 'evaluate' as const, run, key, onFailure, resultName };
  return runStage({ ...names, total, unit: 'answers', ...sofar }, control, async (track) => {
    const { evaluateChunk, loadCheckpoint } = sampleActivities();
    const { publish } = trainActivities();
    const known = new Map<string, Checkpoint>();
    const published = async (entry: Entry): Promise<Checkpoint> => {
      const earlier = known.get(entry.name);
      if (earlier !== undefined) return earlier;
      const { name } = entry;
      const stored = await control.step(`looking up ${name}`, () => loadCheckpoint({ plan, entry }));
      const { checkpoint } = await control.step(`publishing ${name}`, () =>
        publish({ policy, checkpoint: stored, live: null, name, release: true, resume: plan.resume }),
      );
      known.set(entry.name, checkpoint);
      return checkpoint;
    };
    let inFlight = 0;
    let failed: unknown;
    const allDone = async () => {
      await condition(() => inFlight === 0);
      if (failed !== undefined) throw failed;
    };

    for (const [position, { entry, benchmark, first }] of chunksOf(plan).entries()) {
      if (position < state.next) continue;
      await condition(() => (inFlight < params.concurrency && control.isFree()) || failed !== undefined);
      if (failed !== undefined) throw failed;
      if (historyIsLong()) {
        await allDone();
        await continueAsNew<typeof evaluate>({ plan, state, ...control.carried() });
      }
      // Where one checkpoint takes another's place, those that are asked of the one before are waited for.
      if (!known.has(entry.name) && servesOneAtATime(policy)) await allDone();
      const checkpoint = await published(entry);
      state.next = position + 1;
      inFlight += 1;
      const chunk = { plan, entry, checkpoint, benchmark, first };
      const summary = `${entry.name}, ${benchmark.name} from ${first}`;
      void control
        .step(summary, () => evaluateChunk.executeWithOptions({ summary }, [chunk]), {
          skip: {
            does: 'asks problem by problem; those that get no answer count as wrong from now on, and as errors',
            instead: () =>
              evaluateChunk.executeWithOptions({ summary: `${summary}, one by one` }, [{ ...chunk, oneByOne: true }]),
          },
        })
        .then(({ answers, usage }) => {
          state.usage = addUsage(state.usage, usage);
          state.answers += answers;
          return track.update({ done: state.answers, tokens: state.usage.completionTokens, note: entry.name });
        })
        .catch((error) => {
          failed ??= error;
        })
        .finally(() => {
          inFlight -= 1;
        });
    }
    await allDone();
    return { usage: state.usage };
  });
}

/** Whether publishing a checkpoint may end the sampler's serving of others. */
function servesOneAtATime({ sampler }: EvaluatePlan['policy']): boolean {
  const via = sampler.kind === 'openai' ? sampler.publish?.via : undefined;
  return via === 'sglang-disk' || via === 'command';
}

/** Checkpoint by checkpoint, so that each is published once. */
function chunksOf({ checkpoints, benchmarks, params }: EvaluatePlan) {
  return checkpoints.flatMap((entry) =>
    benchmarks.flatMap((benchmark) => {
      const chunks = Math.ceil(benchmark.problems.count / params.problemsPerChunk);
      return Array.from({ length: chunks }, (_, chunk) => ({
        entry,
        benchmark,
        first: chunk * params.problemsPerChunk,
      }));
    }),
  );
}
