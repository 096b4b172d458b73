import { protocolHash } from '../core/protocol.ts';
import type { Funnel, RlIteration, StageUsage, TrainingArm } from '../core/records.ts';
import { comparisonsWithin } from './comparisons.ts';
import { matrixOf, shortMatrix } from './matrix.ts';
import { type Evaluation, type ScoreOptions, scoreOf } from './scores.ts';
import type { ProblemSetUse, Summary } from './summary-schema.ts';
import { isTrained } from './verdict.ts';

export interface SummaryInput extends ScoreOptions {
  run: string;
  /** In the order to be shown; the first benchmark is the headline. */
  evaluations: readonly Evaluation[];
  /** Where the whole matrix of problems and checkpoints lies in the store. */
  matrixList: string;
  problemSets: readonly ProblemSetUse[];
  dropped?: Summary['dropped'];
  overlap?: Summary['overlap'];
  funnel: Funnel;
  stages: readonly StageUsage[];
  rl: Partial<Record<TrainingArm, readonly RlIteration[]>>;
  versions: Record<string, string>;
  artifacts: Record<string, string>;
}

/** A pure function of its input, seeds included: the same answers give the same summary. */
export function buildSummary(input: SummaryInput): Summary {
  return {
    schema: 'astroflow.summary/2',
    run: input.run,
    seed: input.seed,
    covers: isTrained(input) ? 'problems and samples, one training seed' : 'problems and samples',
    scores: input.evaluations.map((evaluation) => scoreOf(evaluation, input)),
    comparisons: comparisonsWithin(input.evaluations, input),
    protocols: protocolsOf(input.evaluations),
    matrix: matrixOf(input.evaluations, input.matrixList).map(shortMatrix),
    problemSets: [...input.problemSets],
    ...(input.dropped && { dropped: input.dropped }),
    ...(input.overlap && { overlap: input.overlap }),
    funnel: input.funnel,
    stages: [...input.stages],
    wallSeconds: wallSeconds(input.stages),
    rl: Object.fromEntries(Object.entries(input.rl).map(([arm, iterations]) => [arm, [...iterations]])),
    versions: input.versions,
    artifacts: input.artifacts,
  };
}

/** Each protocol once, with the checkpoints that were asked by it: one for each benchmark, unless something changed. */
function protocolsOf(evaluations: readonly Evaluation[]): Summary['protocols'] {
  const protocols = new Map<string, Summary['protocols'][number]>();
  for (const { checkpoint, protocol } of evaluations) {
    if (protocol === undefined) continue;
    const hash = protocolHash(protocol);
    const known = protocols.get(`${hash} ${protocol.benchmark}`);
    if (known) known.checkpoints.push(checkpoint);
    else protocols.set(`${hash} ${protocol.benchmark}`, { hash, checkpoints: [checkpoint], protocol });
  }
  return [...protocols.values()];
}

function wallSeconds(stages: readonly StageUsage[]): number {
  const ran = stages.filter((stage) => !stage.reused);
  if (ran.length === 0) return 0;
  const start = Math.min(...ran.map((stage) => stage.startedAtMs));
  const end = Math.max(...ran.map((stage) => stage.endedAtMs));
  // Times are the server's, whose clock somebody may set back during a run.
  return Math.max(0, end - start) / 1000;
}
