import { join } from 'node:path';
import type { RunConfigInput } from '../src/config/schema.ts';
import { openServices } from '../src/services/index.ts';
import { folderStore } from '../src/services/store/folder.ts';
import type { searchCorpus } from '../src/workflows/index.ts';
import type { Bed } from './bed.ts';
import { timed } from './clock.ts';
import { cpuBetween, readCpu } from './cpu.ts';
import { countEvents, type RunHistory, readHistories } from './histories.ts';
import type { OrchestrationResult } from './report.ts';

export interface OrchestrationOptions {
  problems: number;
  model: string;
}

const concurrency = 64;

/**
 * The corpus search with next to no search in it: a scripted model, one leaf with two children a round, a round an
 * activity. What is left is the price of durable steps: workflow tasks, activity tasks, their transactions, the store.
 */
export async function measureOrchestration(
  bed: Bed,
  options: OrchestrationOptions,
): Promise<{ result: OrchestrationResult; histories: RunHistory[] }> {
  const { problems } = options;
  const deps = { store: folderStore(join(bed.folder, 'scripted-artifacts')), services: openServices(process.env) };

  return bed.withWorkers(deps, async (taskQueue) => {
    const search = (name: string, count: number) =>
      timed(async () => {
        await bed.client.workflow.execute<typeof searchCorpus>('searchCorpus', {
          workflowId: `astro/bench-${name}/search`,
          taskQueue,
          args: [manySteps(options.model, name, count)],
        });
        return count;
      });
    await search('scripted-warm-up', Math.min(8, problems));

    const before = readCpu(bed.pids);
    const children = await search('scripted', problems);
    const cpu = { ...cpuBetween(before, readCpu(bed.pids)), engine: null };
    const histories = await readHistories(bed.client, 'astro/bench-scripted/search');
    const activities = {
      count: countEvents(histories, (event) => event.activityTaskCompletedEventAttributes != null),
      seconds: children.seconds,
    };
    return { result: { problems, concurrency, activities, children, cpu }, histories };
  });
}

function manySteps(tokenizer: string, run: string, count: number): RunConfigInput {
  return {
    run,
    salt: run,
    policy: { base: 'scripted-base', tokenizer, sampler: { kind: 'scripted' }, trainer: { kind: 'scripted' } },
    search: {
      problems: { split: 'train', count },
      rounds: 5,
      roundsPerActivity: 1,
      leavesPerRound: 1,
      childrenPerLeaf: 2,
      rolloutsPerChild: 1,
      concurrency,
    },
  };
}
