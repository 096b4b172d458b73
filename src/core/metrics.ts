/**
 * Every metric of ours: the one list that code, dashboards, alerts and docs/observability.md go by. Labels have few
 * values: what belongs to one problem or call is in logs and traces. The SDK adds labels of its own (`namespace`,
 * `taskQueue`, `activityType`, `workflowType`) where it knows them.
 */
export interface MetricDefinition {
  kind: 'counter' | 'gauge' | 'histogram';
  /** Of a histogram; others have it in their name. */
  unit?: 'seconds';
  /** Upper bounds of a histogram, in its unit. */
  buckets?: readonly number[];
  labels: readonly string[];
  meaning: string;
}

const ofStage = ['run', 'stage', 'arm'] as const;

/** From a store's milliseconds to a request that samples a whole iteration. */
const callSeconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800];
const storeSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30];

export const metrics = {
  astroflow_problems: {
    kind: 'counter',
    labels: ['run', 'outcome'],
    meaning:
      'Problems whose search ended: `solved`, `unsolved`, `quarantined` (left behind with a reason), `reused` (its tree was there)',
  },
  astroflow_stage_done: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'What a stage has done so far, in its own unit (problems, trees, steps, iterations, answers)',
  },
  astroflow_stage_total: { kind: 'gauge', labels: ofStage, meaning: 'What a stage has to do; 0 while unknown' },
  astroflow_stage_duration_seconds: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'How long a finished stage took, from its first beginning; not of one that was reused',
  },
  astroflow_stages: {
    kind: 'counter',
    labels: [...ofStage, 'outcome'],
    meaning: 'Stages that ended: `done`, `reused` or `failed`',
  },
  astroflow_questions: {
    kind: 'counter',
    labels: ofStage,
    meaning: 'Questions that a run put before a person, since its worker started',
  },
  astroflow_run_open: {
    kind: 'gauge',
    labels: ['run'],
    meaning: '1 while a workflow of the run that somebody started is open, by the server; then 0',
  },
  astroflow_attention: {
    kind: 'gauge',
    labels: ['run'],
    meaning: '1 while an open run waits for a person, by the search attribute AstroAttention; absent where it has none',
  },
  astroflow_calls: {
    kind: 'counter',
    labels: [...ofStage, 'role', 'outcome'],
    meaning:
      'Model calls of the pipeline that ended, by who was asked (`policy`, `judge`, `narrate`) and how: `answered` or why not',
  },
  astroflow_call_duration: {
    kind: 'histogram',
    unit: 'seconds',
    buckets: callSeconds,
    labels: [...ofStage, 'role'],
    meaning: 'How long a model call took, its wait for a turn and requests that were repeated included',
  },
  astroflow_settled_calls: {
    kind: 'counter',
    labels: [...ofStage, 'result'],
    meaning: 'Requests that the service answered, once it is known what became of the answer: `credited` or `wasted`',
  },
  astroflow_settled_tokens: {
    kind: 'counter',
    labels: [...ofStage, 'kind', 'result'],
    meaning:
      'Tokens (`prompt`, `completion`) of answers that were stored (`credited`) or died with their attempt (`wasted`)',
  },
  astroflow_lost_attempts: {
    kind: 'counter',
    labels: ofStage,
    meaning: 'Attempts of activities that began because another one was lost or had failed',
  },
  astroflow_requests: {
    kind: 'counter',
    labels: ['service', 'outcome'],
    meaning:
      'HTTP requests to model services: `answered`, `429`, `503`, `timeout`, `unavailable`, `lost`, `refused`, `cancelled`, `fault`',
  },
  astroflow_request_duration: {
    kind: 'histogram',
    unit: 'seconds',
    buckets: callSeconds,
    labels: ['service'],
    meaning: 'How long a request was at the service, its queue there included',
  },
  astroflow_request_wait: {
    kind: 'histogram',
    unit: 'seconds',
    buckets: callSeconds,
    labels: ['service'],
    meaning: "How long a request waited for its turn at this worker's gate",
  },
  astroflow_concurrency_limit: {
    kind: 'gauge',
    labels: ['service'],
    meaning: 'Requests at once that this worker sends a service at most, as learned from how it answers',
  },
  astroflow_concurrency_used: { kind: 'gauge', labels: ['service'], meaning: 'Requests at the service now' },
  astroflow_requests_waiting: { kind: 'gauge', labels: ['service'], meaning: 'Requests that wait for their turn' },
  astroflow_optimiser_steps: {
    kind: 'counter',
    labels: ofStage,
    meaning: 'Optimiser steps that the trainer confirmed, those of attempts that were lost included',
  },
  astroflow_optimiser_step_duration: {
    kind: 'histogram',
    unit: 'seconds',
    buckets: callSeconds,
    labels: ofStage,
    meaning: 'How long a forward-backward pass and its optimiser step took',
  },
  astroflow_rl_iteration: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'Iteration, from 0, that the other `rl` gauges are of',
  },
  astroflow_rl_reward_share: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'Mean reward, moved from [-1, 1] to [0, 1]: twice this less 1 (a gauge of the SDK cannot be negative)',
  },
  astroflow_rl_pass_rate: { kind: 'gauge', labels: ofStage, meaning: 'Share of answers that are right and finished' },
  astroflow_rl_truncated: { kind: 'gauge', labels: ofStage, meaning: 'Share of answers cut off at the token limit' },
  astroflow_rl_answer_tokens: { kind: 'gauge', labels: ofStage, meaning: 'Mean tokens of an answer' },
  astroflow_rl_entropy: { kind: 'gauge', labels: ofStage, meaning: 'Mean negative log-probability per sampled token' },
  astroflow_rl_logprob_gap: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'Mean |log p(trainer) - log p(sampler)| per token',
  },
  astroflow_rl_uniform_groups: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'Share of groups whose rewards are all equal: they carry no gradient',
  },
  astroflow_rl_policy_lag: {
    kind: 'gauge',
    labels: ofStage,
    meaning: 'Versions between the policy that sampled the oldest answer and the one that was trained; 0 is on-policy',
  },
  astroflow_store_operations: {
    kind: 'counter',
    labels: ['operation', 'outcome'],
    meaning: 'Operations of the artifact store: `ok` or `failed`',
  },
  astroflow_store_operation_duration: {
    kind: 'histogram',
    unit: 'seconds',
    buckets: storeSeconds,
    labels: ['operation'],
    meaning: 'How long an operation of the artifact store took',
  },
  astroflow_store_bytes: {
    kind: 'counter',
    labels: ['operation'],
    meaning: 'Bytes of the objects that were written or read, before compression',
  },
} as const satisfies Record<string, MetricDefinition>;

type Metrics = typeof metrics;
export type MetricName = keyof Metrics;
type OfKind<K extends MetricDefinition['kind']> = {
  [N in MetricName]: Metrics[N]['kind'] extends K ? N : never;
}[MetricName];
type Labels<N extends MetricName> = Record<Metrics[N]['labels'][number], string>;

/** As Prometheus shows it: counters end with `_total`, histograms with their unit. */
export function exposedName(name: MetricName): string {
  const { kind, unit }: MetricDefinition = metrics[name];
  if (kind === 'counter') return `${name}_total`;
  return unit === undefined ? name : `${name}_${unit}`;
}

/** What a meter of the SDK can do, in workflows, activities and the worker. */
export interface Meter {
  createCounter(name: string, unit?: string, description?: string): { add(value: number, tags?: Tags): void };
  createHistogram(
    name: string,
    valueType?: 'int' | 'float',
    unit?: string,
    description?: string,
  ): { record(value: number, tags?: Tags): void };
  createGauge(
    name: string,
    valueType?: 'int' | 'float',
    unit?: string,
    description?: string,
  ): { set(value: number, tags?: Tags): void };
}
type Tags = Record<string, string>;

/** Records metrics of the list; labels that the meter adds by itself are left out. */
export interface Recorder<Known extends string = never> {
  add<N extends OfKind<'counter'>>(name: N, value: number, labels: Omit<Labels<N>, Known>): void;
  set<N extends OfKind<'gauge'>>(name: N, value: number, labels: Omit<Labels<N>, Known>): void;
  observe<N extends OfKind<'histogram'>>(name: N, value: number, labels: Omit<Labels<N>, Known>): void;
}

export function recorder<Known extends string = never>(meter: Meter): Recorder<Known> {
  const described = (name: MetricName): MetricDefinition => metrics[name];
  return {
    add: (name, value, labels) => meter.createCounter(name, '', described(name).meaning).add(value, labels as Tags),
    set: (name, value, labels) =>
      meter.createGauge(name, 'float', '', described(name).meaning).set(value, labels as Tags),
    observe: (name, value, labels) =>
      meter
        .createHistogram(name, 'float', described(name).unit ?? '', described(name).meaning)
        .record(value, labels as Tags),
  };
}

/** Upper bounds of histograms, as the SDK's Prometheus endpoint takes them. */
export function histogramBuckets(): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(metrics as Record<string, MetricDefinition>).flatMap(([name, { buckets }]) =>
      buckets === undefined ? [] : [[name, [...buckets]]],
    ),
  );
}
