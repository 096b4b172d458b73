import { CancellationScope, condition } from '@temporalio/workflow';
import type { SpokenPlan } from '../activities/role-calls.ts';
import { sampleActivities, shortActivities } from './activities.ts';
import { isRefusal, rootMessage } from './failures.ts';

/**
 * The language stage of one page of trees: a bounded window of them in flight, one activity each. Returns the trees
 * that had to be left behind, with the reason, by slug; fails where no tree's calls came through.
 */
export async function narratePage(
  plan: SpokenPlan,
  first: number,
  onTree: (tokens: number) => void,
): Promise<Record<string, string>> {
  const { narrateTree } = sampleActivities();
  const { slugs, finished } = await shortActivities().readTreesPage({ plan, first });
  const failures: Record<string, string> = {};
  let inFlight = 0;
  let fatal: unknown;
  let lastError: unknown;
  let answered = finished;

  const narrate = (slug: string) => {
    inFlight += 1;
    void narrateTree
      .executeWithOptions({ summary: slug }, [{ plan, slug }])
      .then(({ usage }) => {
        if (usage.calls > 0) answered += 1;
        onTree(usage.completionTokens);
      })
      .catch((error) => {
        // One hopeless tree is recorded and left behind; a cancelled run or a refused request is not its fault.
        if (CancellationScope.current().consideredCancelled || isRefusal(error)) fatal ??= error;
        lastError = error;
        failures[slug] = rootMessage(error);
        onTree(0);
      })
      .finally(() => {
        inFlight -= 1;
      });
  };

  try {
    for (const slug of slugs) {
      await condition(() => inFlight < plan.roles.concurrency || fatal !== undefined);
      if (fatal !== undefined) break;
      narrate(slug);
    }
  } finally {
    // Also when cancelled: what is in flight ends its call first.
    await CancellationScope.nonCancellable(() => condition(() => inFlight === 0));
  }
  if (fatal !== undefined) throw fatal;
  // The service is gone, and the page must not be written without its trees.
  if (answered === 0 && lastError !== undefined) throw lastError;
  return failures;
}
