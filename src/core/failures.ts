/**
 * Failure types as they appear in histories and in the UI, and what happens to each. Activities throw them at their
 * boundary (`src/activities/failures.ts`); retry policies name the ones that are never retried.
 */
export const failureTypes = {
  /** The configuration or a data file is wrong; details list every problem. Nothing was started. */
  InvalidConfig: { retry: false },
  /** A stage was started alone before the stage it needs; the message says which to run. */
  MissingInput: { retry: false },
  /** The service refuses the request; sending it again cannot help. */
  ServiceRefused: { retry: false },
  /** An artifact's bytes do not match their hash. */
  CorruptArtifact: { retry: false },
  /** A training guard tripped: reward, entropy or log-prob gap. */
  TrainingCollapsed: { retry: false },
  /** A restored model is not the one that was saved: its first log-probabilities differ from the recorded ones. */
  ResumeMismatch: { retry: false },
  /** A checkpoint that the next step needs has expired or was deleted; the message says from where to go on. */
  CheckpointLost: { retry: false },
  /** A training job ended with an error of its own, which it would make again; the message ends with its log. */
  JobFailed: { retry: false },
  /** Not one problem of the corpus could be searched; the message holds the first failure. */
  SearchFailed: { retry: false },
  /** A newer release stored what this worker is to read; the retry may reach a worker of that release. */
  NewerArtifact: { retry: true },
  /** Unreachable, overloaded or broken for now. */
  ServiceUnavailable: { retry: true },
  /** The service lost a model or promise; the retry restores from the last checkpoint. */
  ServiceLostState: { retry: true },
} as const;

export type FailureType = keyof typeof failureTypes;

export const nonRetryableFailureTypes: FailureType[] = (Object.keys(failureTypes) as FailureType[]).filter(
  (type) => !failureTypes[type].retry,
);

/**
 * Failures that end a run at once, also where it is to ask: only another configuration, or another workflow's result,
 * can help. An unsearchable corpus is one, since its index is stored by then and a retry would read it again. All
 * others wait for a person once their attempts are used up: the service may come back, a file can be restored.
 */
const final: readonly string[] = ['InvalidConfig', 'MissingInput', 'SearchFailed'] satisfies FailureType[];

/** @param type of the failure at the bottom of the chain; undefined for timeouts and unexpected errors */
export function isWorthAsking(type: string | undefined): boolean {
  return type === undefined || !final.includes(type);
}

const ofServices: readonly string[] = [
  'NewerArtifact',
  'ServiceRefused',
  'ServiceUnavailable',
  'ServiceLostState',
] satisfies FailureType[];

/** The doing of a service, or of the worker's release: every other problem or tree would meet the same, so it is no reason to leave one behind. */
export function isServiceFailure(type: string | undefined): boolean {
  return type !== undefined && ofServices.includes(type);
}
