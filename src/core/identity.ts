import type { StageName } from './progress.ts';

/** What a workflow or activity is about, as logs and metrics name it. */
export interface Identity {
  run?: string;
  /** `pipeline`: the root's own steps. */
  stage?: StageName | 'pipeline';
  arm?: string;
  /** A problem's slug: for logs only, there are too many for a metric's label. */
  problem?: string;
}

const stageOfType: Readonly<Record<string, NonNullable<Identity['stage']>>> = {
  astroPipeline: 'pipeline',
  searchCorpus: 'search',
  searchShard: 'search',
  searchProblem: 'search',
  linearizeCorpus: 'linearize',
  fineTune: 'sft',
  reinforce: 'rl',
  evaluate: 'evaluate',
};

/** By a workflow's id (`astro/<run>/<stage>/…`) and type; as little as they tell. */
export function identityOf(workflowId: string, workflowType: string): Identity {
  const stage = stageOfType[workflowType];
  if (stage === undefined) return {};
  const [, , , last] = workflowId.startsWith('astro/') ? workflowId.split('/') : [];
  return {
    run: runNameOf(workflowId),
    stage,
    ...((stage === 'sft' || stage === 'rl') && last !== undefined && { arm: last }),
    ...(workflowType === 'searchProblem' && last !== undefined && { problem: last }),
  };
}

/** `astro/demo` and `astro/demo/search` name the run `demo`; any other id is made safe. */
export function runNameOf(workflowId: string): string {
  const name = workflowId.startsWith('astro/') ? (workflowId.split('/')[1] ?? '') : workflowId;
  const safe = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return safe.slice(0, 40) || 'run';
}
