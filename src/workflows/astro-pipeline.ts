import type { PipelineResult } from '../activities/summary.ts';
import type { RunConfigInput } from '../config/schema.ts';
import { cpuActivities } from './activities.ts';
import { createBoard } from './board.ts';
import { createControl } from './control.ts';
import { evaluate } from './evaluate.ts';
import { fineTune } from './fine-tune.ts';
import { linearizeCorpus } from './linearize-corpus.ts';
import { reinforce } from './reinforce.ts';
import { searchCorpus } from './search-corpus.ts';
import { resolveInput } from './stage.ts';

/**
 * ASTRO as one outline: search trees → long chains of thought → fine-tuning → reinforcement learning → evaluation.
 * Takes a run configuration, all fields optional; each stage is a workflow of its own that can also be started alone.
 */
export async function astroPipeline(config: RunConfigInput = {}): Promise<PipelineResult> {
  const board = createBoard(createControl(config));
  const resolved = await resolveInput(config);
  const { plan } = resolved;
  board.open(resolved);

  await board.run('search', searchCorpus, plan.search);
  await board.run('linearize', linearizeCorpus, plan.linearize);
  for (const arm of plan.arms) {
    await board.run('sft', fineTune, plan.sft[arm]);
    if (plan.rl[arm].params.iterations > 0) await board.run('rl', reinforce, plan.rl[arm]);
  }
  await board.run('evaluate', evaluate, plan.evaluate);

  return board.during('report', () => cpuActivities().writeSummary({ plan, outcomes: board.outcomes() }));
}
