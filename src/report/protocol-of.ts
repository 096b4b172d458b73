import type { EvaluatePlan } from '../config/plan.ts';
import type { Protocol } from '../core/protocol.ts';
import type { AnswerRecord } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';

/** How a checkpoint's answers to a benchmark were asked for and graded: by the plan, and by what the answers say. */
export function protocolOf(
  plan: Pick<EvaluatePlan, 'task' | 'policy' | 'params' | 'template'>,
  benchmark: EvaluatePlan['benchmarks'][number],
  answers: readonly Pick<AnswerRecord, 'engine' | 'graderVersion'>[],
): Protocol {
  const { task, policy, params } = plan;
  const { sha256, count } = benchmark.problems;
  const graders = new Set(answers.flatMap(({ graderVersion }) => graderVersion ?? []));
  const engines = [...new Set(answers.flatMap(({ engine }) => engine ?? []))].sort();
  return {
    schema: 'astroflow.protocol/1',
    benchmark: benchmark.name,
    problems: { sha256, count },
    task,
    prompts: benchmark.prompts ?? null,
    template: plan.template ?? null,
    decoding: {
      temperature: params.temperature,
      maxTokens: params.maxTokens,
      stops: [...getTask(task).answerStops],
    },
    engine: {
      sampler: policy.sampler.kind,
      prompts: 'prompts' in policy.sampler ? policy.sampler.prompts : null,
      version: engines.length === 0 ? null : engines.join(', '),
    },
    grader: graders.size === 0 ? null : Math.max(...graders),
  };
}
