import { artifactNames, type RlPlan } from '../config/plan.ts';
import type { RolloutRecord } from '../core/records.ts';
import { groupAdvantages } from '../core/rl/advantages.ts';
import { groupRollouts } from '../core/rl/policy-data.ts';
import type { Renderer } from '../services/renderer/renderer.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { RowOf } from './columns.ts';

/** Answers of reinforcement learning as they were sampled, graded and trained on. */
export const rolloutColumns = {
  arm: 'string',
  iteration: 'int32',
  group: 'int32',
  sample: 'int32',
  problem_id: 'string',
  family: 'string',
  prompt: 'string',
  completion: 'string',
  prompt_ids: { list: 'int32' },
  completion_ids: { list: 'int32' },
  logprobs: { list: 'double' },
  policy_version: 'string',
  temperature: 'double',
  max_tokens: 'int32',
  seed: 'uint32',
  reward: 'double',
  advantage: 'double',
  verdict: { struct: { correct: { nullable: 'boolean' }, answer: { nullable: 'string' }, reason: 'string' } },
  grader_version: 'int32',
  truncated: 'boolean',
  call_id: 'string',
  attempt: 'int32',
} as const;

type RolloutRow = RowOf<typeof rolloutColumns>;

/** An arm's stored answers, iteration by iteration; null where there are none. One iteration is in memory at a time. */
export async function rolloutRows(
  store: ArtifactStore,
  plan: RlPlan,
  renderer: Pick<Renderer, 'decode'>,
): Promise<AsyncIterable<RolloutRow> | null> {
  const first = await store.readLines<RolloutRecord>(artifactNames.rollouts(plan.key, 0));
  if (first === null) return null;
  return (async function* () {
    let records: AsyncIterable<RolloutRecord> | null = first;
    for (let iteration = 0; records !== null; ) {
      const answers: RolloutRecord[] = [];
      for await (const record of records) answers.push(record);
      for (const group of groupRollouts(answers)) yield* groupRows(group, renderer);
      iteration += 1;
      records = await store.readLines<RolloutRecord>(artifactNames.rollouts(plan.key, iteration));
    }
  })();
}

function groupRows(group: readonly RolloutRecord[], renderer: Pick<Renderer, 'decode'>): RolloutRow[] {
  const advantages = groupAdvantages(group.map(({ reward }) => reward));
  const prompt = renderer.decode(group[0]?.promptTokens ?? [], { special: true });
  return group.map((record, index) => ({
    arm: record.arm,
    iteration: record.iteration,
    group: record.group,
    sample: record.sample,
    problem_id: record.problemId,
    family: record.family,
    prompt,
    completion: record.text,
    prompt_ids: record.promptTokens,
    completion_ids: record.completionTokens,
    logprobs: record.samplerLogprobs,
    policy_version: record.policyVersion,
    temperature: record.sampling.temperature,
    max_tokens: record.sampling.maxTokens,
    seed: record.sampling.seed,
    reward: record.reward,
    advantage: advantages[index] ?? 0,
    verdict: {
      // A column has one type: a verdict that could not be reached is null.
      correct: record.verdict.correct === 'unknown' ? null : record.verdict.correct,
      answer: record.verdict.answer ?? null,
      reason: record.verdict.reason,
    },
    grader_version: record.graderVersion,
    truncated: record.truncated,
    call_id: record.callId,
    attempt: record.attempt,
  }));
}
