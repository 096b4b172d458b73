import { CancellationScope, condition, continueAsNew, executeChild, log } from '@temporalio/workflow';
import type { SearchProgress } from '../activities/search.ts';
import type { SearchPlan } from '../config/plan.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import { cpuActivities, shortActivities } from './activities.ts';
import { createControl } from './control.ts';
import { isRefusal, isServiceFault, rootMessage, startedByHand } from './failures.ts';
import { ownShare } from './fair-share.ts';
import { workflowMetrics } from './metrics.ts';
import { inheritedAttributes } from './search-attributes.ts';
import { searchProblem } from './search-problem.ts';
import { givenPlan, trackStage } from './stage.ts';

export interface ShardInput {
  plan: SearchPlan;
  shard: number;
  /** The shard's first position, the next one to search, and the one after its last. */
  start: number;
  from: number;
  to: number;
  /** Sums over the pages before this one. */
  sofar?: ShardResult;
  /** How far the parent was told of in those pages: a page by itself is no news. */
  reported?: number;
  /** Continues a run that was paused. */
  paused?: boolean;
}

export interface ShardResult {
  trees: number;
  solved: number;
  reused: number;
  usage: Usage;
  /** Why the first problem without a tree has none. */
  firstFailure?: string;
}

const nothing: ShardResult = { trees: 0, solved: 0, reused: 0, usage: noUsage };

const outcomes = ['solved', 'unsolved', 'quarantined', 'reused'] as const;

/** News of all shards together, about: each costs the parent up to nine events. */
const newsPerSearch = 40;

/**
 * One stretch of the problem set, page by page, a bounded window of children in flight; continues as new between
 * pages, so no run of it exceeds about 2,000 events.
 */
export async function searchShard(input: ShardInput): Promise<ShardResult> {
  const control = createControl(input);
  if (givenPlan(input) === undefined) throw startedByHand('searchShard', 'searchCorpus');
  const { plan, shard, start, from, to } = input;
  const { concurrency, pageSize } = plan.params;
  const sofar = input.sofar ?? nothing;
  const count = Math.min(pageSize, to - from);
  let tokens = sofar.usage.completionTokens;
  const track = trackStage(
    { name: 'search', total: to - start, unit: 'problems', note: `shard-${shard}`, done: from - start, tokens },
    plan,
    control,
    { newsEvery: Math.ceil(plan.problems.count / newsPerSearch), reported: input.reported },
  );

  const page = await control.step('reading the problems', () =>
    shortActivities().readSearchPage({ search: plan, first: from, count }),
  );
  const done = new Set(page.finished);
  const failures: Record<string, string> = {};
  let inFlight = 0;
  let fatal: unknown;

  // All outcomes, with 0 as well: what a series begins with is no increase to Prometheus.
  const counted = (outcome: (typeof outcomes)[number], problems = 1) => {
    for (const one of outcomes)
      workflowMetrics().add('astroflow_problems', one === outcome ? problems : 0, { run: plan.run, outcome: one });
  };
  const leaveBehind = (slug: string, error: unknown) => {
    failures[slug] = rootMessage(error);
    counted('quarantined');
    log.warn(`problem left behind: ${failures[slug]}`, { run: plan.run, stage: 'search', problem: slug });
  };
  counted('reused', page.finished.length);

  const search = (index: number, slug: string, title: string) => {
    const workflowId = `astro/${plan.run}/search/${slug}`;
    const child = () => {
      control.adopt(workflowId);
      return executeChild(searchProblem, {
        workflowId,
        args: [{ plan, problem: index }],
        staticSummary: title,
        ...ownShare(),
        ...inheritedAttributes('search'),
      });
    };
    inFlight += 1;
    void control
      .step<SearchProgress | null>(`problem ${title}`, child, {
        isAsked: isServiceFault,
        skip: {
          does: 'leaves it, and all that failed with it, behind with the reason',
          instead: (error) => {
            leaveBehind(slug, error);
            return null;
          },
        },
      })
      .then((progress) => {
        if (progress === null) return;
        tokens += progress.usage.completionTokens;
        counted(progress.solved ? 'solved' : 'unsolved');
      })
      .catch((error) => {
        // One hopeless problem is recorded and left behind; a cancelled run or a refused request is not its fault, and
        // what the service did was put before a person, who chose to abort.
        const isAborted = control.asks() && isServiceFault(error);
        if (CancellationScope.current().consideredCancelled || isRefusal(error) || isAborted) {
          fatal ??= error;
          failures[slug] = rootMessage(error);
        } else leaveBehind(slug, error);
      })
      .finally(() => {
        inFlight -= 1;
        control.drop(workflowId);
        done.add(index);
        void track.update({ done: from - start + done.size, tokens });
      });
  };

  try {
    for (const [offset, slug] of page.slugs.entries()) {
      const index = from + offset;
      if (done.has(index)) continue;
      await condition(() => (inFlight < concurrency && control.isFree()) || fatal !== undefined);
      if (fatal !== undefined) break;
      search(index, slug, page.titles[offset] ?? slug);
    }
  } finally {
    // Also when cancelled: children that are still closing would be terminated with this workflow.
    await CancellationScope.nonCancellable(() => condition(() => inFlight === 0));
  }
  if (fatal !== undefined) throw fatal;

  const indexed = await control.step('writing the index', () =>
    cpuActivities().indexSearchPage({ search: plan, first: from, count, failures }),
  );
  const firstFailure = sofar.firstFailure ?? Object.values(failures)[0];
  const sums: ShardResult = {
    trees: sofar.trees + indexed.trees,
    solved: sofar.solved + indexed.solved,
    reused: sofar.reused + indexed.reused,
    usage: addUsage(sofar.usage, indexed.usage),
    ...(firstFailure && { firstFailure }),
  };
  await track.update({ done: from + count - start, tokens: sums.usage.completionTokens });
  if (from + count >= to) return sums;
  const reported = track.reported();
  const next = { plan, shard, start, from: from + count, to, sofar: sums, ...(reported !== undefined && { reported }) };
  return continueAsNew<typeof searchShard>({ ...next, ...control.carried() });
}
