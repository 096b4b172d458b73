import { ApplicationFailure, continueAsNew } from '@temporalio/workflow';
import type { RlStart } from '../activities/reinforce.ts';
import { artifactNames, type RlPlan } from '../config/plan.ts';
import { checkGuards, remember } from '../core/rl/guards.ts';
import { addUsage } from '../core/usage.ts';
import type { LiveModel } from '../services/trainer/trainer.ts';
import { sampleActivities, shortActivities, trainActivities } from './activities.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Carried from run to run when the workflow continues as new. */
interface ReinforceState extends RlStart {
  live: LiveModel | null;
  startedAtMs: number;
}

/**
 * Reinforcement learning of one arm: prompts and checkpoint → checkpoint. One iteration is rollouts, one update, and
 * the new policy's publication; each is a durable step.
 */
export async function reinforce(input: StageInput<RlPlan> & { state?: ReinforceState } = {}): Promise<StageOutcome> {
  const plan = await planOf(input, (resolved) => resolved.plan.rl[resolved.arm]);
  const { run, key, arm, policy, params } = plan;
  const total = params.iterations;
  const resultName = artifactNames.result('rl', key);
  const startedAtMs = input?.state?.startedAtMs ?? Date.now();
  const sofar = {
    startedAtMs,
    done: input?.state?.iteration ?? 0,
    tokens: input?.state?.usage.completionTokens ?? 0,
  };

  const stage = { name: 'rl' as const, arm, run, key, resultName, total, unit: 'iterations', ...sofar };
  return runStage(stage, async (track) => {
    const { rollout } = sampleActivities();
    const { updatePolicy, publish } = trainActivities();
    const state = input?.state ?? (await begin());
    const { prompts, tokenBudget } = state;
    let stopped: string | undefined;
    const firstOfRun = state.iteration;
    while (state.iteration < total) {
      const { iteration } = state;
      if (tokenBudget !== null && state.usage.completionTokens >= tokenBudget) {
        stopped = `sampled the ${tokenBudget} tokens that ${params.matchTokensOf}'s RL sampled`;
        break;
      }
      if (iteration - firstOfRun >= params.iterationsPerRun || historyIsLong()) {
        await continueAsNew<typeof reinforce>({ plan, state });
      }
      const sampled = await rollout.executeWithOptions({ summary: `iteration ${iteration}: sample` }, [
        { plan, iteration, prompts, checkpoint: state.checkpoint },
      ]);
      const update = await updatePolicy.executeWithOptions({ summary: `iteration ${iteration}: update` }, [
        { plan, iteration, rollouts: sampled.ref, checkpoint: state.checkpoint, live: state.live },
      ]);
      const name = `rl-${arm}-${iteration}`;
      const published = await publish.executeWithOptions({ summary: `iteration ${iteration}: publish` }, [
        { policy, checkpoint: update.checkpoint, live: update.live, name, release: iteration === total - 1 },
      ]);
      state.iteration += 1;
      state.checkpoint = published.checkpoint;
      state.live = published.live;
      state.usage = addUsage(state.usage, sampled.usage);
      state.history = remember(state.history, update.summary);
      await track.update({
        done: state.iteration,
        tokens: state.usage.completionTokens,
        note: `pass rate ${update.summary.passRate.toFixed(2)}, ${update.summary.meanTokens.toFixed(0)} tokens`,
      });
      stopOnCollapse(state);
    }
    return {
      usage: state.usage,
      checkpoint: state.checkpoint,
      iterations: state.iteration,
      ...(stopped && { stopped }),
    };

    async function begin(): Promise<ReinforceState> {
      const start = await shortActivities().prepareRl({ plan });
      stopOnCollapse(start);
      const { iteration, usage } = start;
      if (iteration > 0) await track.update({ done: iteration, tokens: usage.completionTokens });
      const { checkpoint } = await publish.executeWithOptions({ summary: 'publish the start' }, [
        // What made it may lie long ago: the sampler must have it now.
        { policy, checkpoint: start.checkpoint, live: null, name: `rl-${arm}-start`, release: true },
      ]);
      return { ...start, checkpoint, live: null, startedAtMs };
    }
  });

  function stopOnCollapse({ history }: Pick<RlStart, 'history'>): void {
    const guard = checkGuards(history, params.guards);
    if (!guard.ok) throw ApplicationFailure.nonRetryable(guard.reason, 'TrainingCollapsed');
  }
}
