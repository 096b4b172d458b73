import { ApplicationFailure, continueAsNew } from '@temporalio/workflow';
import { artifactNames, type RlPlan } from '../config/plan.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { RlIteration } from '../core/records.ts';
import { checkGuards } from '../core/rl/guards.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import type { LiveModel } from '../services/trainer/trainer.ts';
import { sampleActivities, shortActivities, trainActivities } from './activities.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Carried from run to run when the workflow continues as new. */
interface ReinforceState {
  iteration: number;
  checkpoint: Checkpoint;
  live: LiveModel | null;
  usage: Usage;
  /** What the guards compare: the first ten iterations and the last ten. */
  history: RlIteration[];
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
    const prompts = await shortActivities().prepareRlPrompts({ plan });
    const begin = { policy, checkpoint: prompts.checkpoint, live: null, name: `rl-${arm}-start`, release: true };
    const state: ReinforceState = input?.state ?? {
      iteration: 0,
      // The stage that made it may lie long ago: the sampler must have it now.
      checkpoint: (await publish.executeWithOptions({ summary: 'publish the start' }, [begin])).checkpoint,
      live: null,
      usage: noUsage,
      history: [],
      startedAtMs,
    };
    let stopped: string | undefined;
    const firstOfRun = state.iteration;
    while (state.iteration < total) {
      const { iteration } = state;
      if (prompts.tokenBudget !== null && state.usage.completionTokens >= prompts.tokenBudget) {
        stopped = `sampled the ${prompts.tokenBudget} tokens that ${params.matchTokensOf}'s RL sampled`;
        break;
      }
      if (iteration - firstOfRun >= params.iterationsPerRun || historyIsLong()) {
        await continueAsNew<typeof reinforce>({ plan, state });
      }
      const sampled = await rollout.executeWithOptions({ summary: `iteration ${iteration}: sample` }, [
        { plan, iteration, prompts: prompts.ref, checkpoint: state.checkpoint },
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
      state.history = [...state.history.slice(0, 10), ...state.history.slice(10).slice(-9), update.summary];
      await track.update({
        done: state.iteration,
        tokens: state.usage.completionTokens,
        note: `pass rate ${update.summary.passRate.toFixed(2)}, ${update.summary.meanTokens.toFixed(0)} tokens`,
      });
      const guard = checkGuards(state.history, params.guards);
      if (!guard.ok) throw ApplicationFailure.nonRetryable(guard.reason, 'TrainingCollapsed');
    }
    return {
      usage: state.usage,
      checkpoint: state.checkpoint,
      iterations: state.iteration,
      ...(stopped && { stopped }),
    };
  });
}
