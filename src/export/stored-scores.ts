import type { StoredStageResult } from '../activities/results.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import type { AnswerRecord } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import { defaultTokenCaps, scoreOf } from '../report/scores.ts';
import { parseSummary, type Score } from '../report/summary-schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';

export interface StoredScores {
  scores: Score[];
  /** End of the evaluation; null while it goes on. */
  endedAtMs: number | null;
  /** What is not evaluated yet, in words. */
  missing: string[];
}

/** The scores of a run's summary, or, before there is one, of every checkpoint that has answered a whole benchmark. */
export async function storedScores(store: ArtifactStore, plan: Plan): Promise<StoredScores> {
  const { evaluate } = plan;
  const resultRef = await store.find(artifactNames.evaluationResult(evaluate));
  const endedAtMs = resultRef && (await store.getJson<StoredStageResult>(resultRef)).endedAtMs;
  const summaryRef = await store.find(artifactNames.run(plan.run, 'summary.json'));
  if (summaryRef !== null)
    return { scores: parseSummary(await store.getJson(summaryRef)).scores, endedAtMs, missing: [] };

  const { bootstrapSamples, maxTokens } = evaluate.params;
  const { phrases } = getTask(evaluate.task);
  const options = { seed: plan.seed, phrases, bootstrapSamples, tokenCaps: defaultTokenCaps(maxTokens) };
  const scores: Score[] = [];
  const missing: string[] = [];
  for (const benchmark of evaluate.benchmarks) {
    for (const entry of evaluate.checkpoints) {
      const answers = await answersOf(store, plan, entry, benchmark);
      if (answers === null) missing.push(`scores of ${entry.name} on ${benchmark.name}`);
      else scores.push(scoreOf({ checkpoint: entry.name, benchmark: benchmark.name, answers }, options));
    }
  }
  return { scores, endedAtMs, missing };
}

/** Null unless all of them are stored. */
async function answersOf(
  store: ArtifactStore,
  { evaluate: { key, params } }: Plan,
  entry: Plan['evaluate']['checkpoints'][number],
  { name, problems }: Plan['evaluate']['benchmarks'][number],
): Promise<AnswerRecord[] | null> {
  const answers: AnswerRecord[] = [];
  for (let first = 0; first < problems.count; first += params.problemsPerChunk) {
    const rows = await store.readLines<AnswerRecord>(artifactNames.answers(key, entry, name, first));
    if (rows === null) return null;
    for await (const row of rows) answers.push(row);
  }
  return answers;
}
