import { CancellationScope, condition, log } from '@temporalio/workflow';
import type { SpokenPlan } from '../activities/role-calls.ts';
import type { Usage } from '../core/usage.ts';
import { sampleActivities, shortActivities } from './activities.ts';
import type { Control } from './control.ts';
import { isRefusal, isServiceFault, rootMessage } from './failures.ts';

/**
 * The language stage of one page of trees: a bounded window of them in flight, one activity each. Returns the trees
 * that had to be left behind, with the reason, by slug; fails where no tree's calls came through.
 */
export async function narratePage(
  plan: SpokenPlan,
  first: number,
  control: Control,
  onTree: (tokens: number) => void,
): Promise<Record<string, string>> {
  const { narrateTree } = sampleActivities();
  const { slugs, finished } = await control.step('reading the trees', () =>
    shortActivities().readTreesPage({ plan, first }),
  );
  const failures: Record<string, string> = {};
  let inFlight = 0;
  let fatal: unknown;
  let lastError: unknown;
  let answered = finished;

  const leaveBehind = (slug: string, error: unknown) => {
    failures[slug] = rootMessage(error);
    log.warn(`tree left behind: ${failures[slug]}`, { run: plan.run, stage: 'linearize', problem: slug });
    onTree(0);
  };

  const narrate = (slug: string) => {
    inFlight += 1;
    void control
      .step<{ usage: Usage } | null>(
        `the tree ${slug}`,
        () => narrateTree.executeWithOptions({ summary: slug }, [{ plan, slug }]),
        {
          isAsked: isServiceFault,
          skip: {
            does: 'leaves it, and all that failed with it, behind with the reason',
            instead: (error) => {
              leaveBehind(slug, error);
              return null;
            },
          },
        },
      )
      .then((tree) => {
        if (tree === null) return;
        if (tree.usage.calls > 0) answered += 1;
        onTree(tree.usage.completionTokens);
      })
      .catch((error) => {
        // One hopeless tree is recorded and left behind; a cancelled run or a refused request is not its fault, and
        // what the service did was put before a person, who chose to abort.
        const isAborted = control.asks() && isServiceFault(error);
        if (CancellationScope.current().consideredCancelled || isRefusal(error) || isAborted) fatal ??= error;
        lastError = error;
        leaveBehind(slug, error);
      })
      .finally(() => {
        inFlight -= 1;
      });
  };

  try {
    for (const slug of slugs) {
      await condition(() => (inFlight < plan.roles.concurrency && control.isFree()) || fatal !== undefined);
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
