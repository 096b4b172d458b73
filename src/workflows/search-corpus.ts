import { condition, executeChild, setHandler } from '@temporalio/workflow';
import { artifactNames, type SearchPlan } from '../config/plan.ts';
import { isUnderWay, type StageProgress } from '../core/progress.ts';
import { addUsage, noUsage } from '../core/usage.ts';
import { createControl } from './control.ts';
import { searchFailure } from './failures.ts';
import { ownShare } from './fair-share.ts';
import { inheritedAttributes } from './search-attributes.ts';
import { type ShardResult, searchShard } from './search-shard.ts';
import { planOf, runStage, type StageInput, type StageOutcome, stageProgressSignal } from './stage.ts';

/**
 * Searches every problem of the set: problems.jsonl → trees and their index. `shards` parents work side by side, each
 * on its own stretch of the set, so that no parent's history grows with the corpus.
 */
export async function searchCorpus(input: StageInput<SearchPlan> = {}): Promise<StageOutcome> {
  const control = createControl(input);
  const plan = await planOf(input, (resolved) => resolved.plan.search);
  const { run, key, onFailure } = plan;
  const total = plan.problems.count;
  const resultName = artifactNames.searchResult(plan);

  const stage = { name: 'search' as const, run, key, onFailure, resultName, total, unit: 'problems' };
  return runStage(stage, control, async (track) => {
    const { pageSize } = plan.params;
    const pages = Math.ceil(total / pageSize);
    const shardCount = Math.min(plan.params.shards, pages);
    const news = new Map<string, StageProgress>();
    const shardId = (shard: number) => `astro/${run}/search/shard-${String(shard).padStart(2, '0')}`;
    setHandler(
      stageProgressSignal,
      (shard) => {
        const note = shard.note ?? '';
        if ((shard.revision ?? 0) < (news.get(note)?.revision ?? 0)) return;
        news.set(note, shard);
        control.childAsks(shardId(Number(note.replace('shard-', ''))), shard.attention);
        const all = [...news.values()];
        const done = all.reduce((sum, s) => sum + s.done, 0);
        const tokens = all.reduce((sum, s) => sum + s.tokens, 0);
        void track.update({ done, tokens }, isUnderWay(track.stage.state) && track.stage.state !== control.state());
      },
      { description: 'Sent by the shards as they advance' },
    );
    if (!control.isFree()) await condition(control.isFree);

    const shards: ShardResult[] = await Promise.all(
      Array.from({ length: shardCount }, (_, shard) => {
        // Whole pages: the index is read page by page from the set's beginning.
        const from = Math.floor((shard * pages) / shardCount) * pageSize;
        const to = Math.min(total, Math.floor(((shard + 1) * pages) / shardCount) * pageSize);
        control.adopt(shardId(shard));
        return executeChild(searchShard, {
          workflowId: shardId(shard),
          args: [{ plan, shard, start: from, from, to }],
          staticSummary: `problems ${from} to ${to - 1}`,
          ...ownShare(),
          ...inheritedAttributes('search'),
        });
      }),
    );
    const sum = (pick: (shard: ShardResult) => number) => shards.reduce((n, shard) => n + pick(shard), 0);
    const trees = {
      problems: total,
      trees: sum((s) => s.trees),
      solved: sum((s) => s.solved),
      reused: sum((s) => s.reused),
    };
    if (trees.trees === 0) throw searchFailure(total, shards.find((s) => s.firstFailure)?.firstFailure);
    return { usage: shards.reduce((usage, shard) => addUsage(usage, shard.usage), noUsage), trees };
  });
}
