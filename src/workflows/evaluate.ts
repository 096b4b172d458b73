import { condition } from '@temporalio/workflow';
import { artifactNames, type EvaluatePlan } from '../config/plan.ts';
import { addUsage, noUsage } from '../core/usage.ts';
import { sampleActivities, trainActivities } from './activities.ts';
import { planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Checkpoints × benchmarks → graded answers. All checkpoints answer the same problems with the same seeds. */
export async function evaluate(input: StageInput<EvaluatePlan> = {}): Promise<StageOutcome> {
  const plan = await planOf(input, (resolved) => resolved.plan.evaluate);
  const { run, key, policy, checkpoints, benchmarks, params } = plan;
  const problems = benchmarks.reduce((sum, benchmark) => sum + benchmark.problems.count, 0);
  const total = problems * params.samplesPerProblem * checkpoints.length;
  const resultName = artifactNames.evaluationResult(plan);

  return runStage({ name: 'evaluate', run, key, resultName, total, unit: 'answers' }, async (track) => {
    const { evaluateChunk, loadCheckpoint } = sampleActivities();
    const { publish } = trainActivities();
    let usage = noUsage;
    let done = 0;
    let inFlight = 0;
    let failed: unknown;

    for (const entry of checkpoints) {
      const stored = await loadCheckpoint({ plan, entry });
      const { checkpoint } = await publish({ policy, checkpoint: stored, live: null, name: entry.name, release: true });
      for (const benchmark of benchmarks) {
        for (let first = 0; first < benchmark.problems.count; first += params.problemsPerChunk) {
          await condition(() => inFlight < params.concurrency || failed !== undefined);
          if (failed !== undefined) throw failed;
          inFlight += 1;
          const summary = `${entry.name}, ${benchmark.name} from ${first}`;
          void evaluateChunk
            .executeWithOptions({ summary }, [{ plan, entry, checkpoint, benchmark, first }])
            .then(async (chunk) => {
              usage = addUsage(usage, chunk.usage);
              done += chunk.answers;
              await track.update({ done, tokens: usage.completionTokens, note: entry.name });
            })
            .catch((error) => {
              failed ??= error;
            })
            .finally(() => {
              inFlight -= 1;
            });
        }
      }
    }
    await condition(() => inFlight === 0);
    if (failed !== undefined) throw failed;
    return { usage };
  });
}
