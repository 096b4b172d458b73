import { ApplicationFailure, continueAsNew } from '@temporalio/workflow';
import type { RlStart } from '../activities/reinforce.ts';
import { artifactNames, type RlPlan } from '../config/plan.ts';
import type { RlIteration } from '../core/records.ts';
import { checkGuards, remember } from '../core/rl/guards.ts';
import { addUsage, noUsage } from '../core/usage.ts';
import type { LiveModel } from '../services/trainer/trainer.ts';
import { jobActivities, sampleActivities, trainActivities, wholeSetActivities } from './activities.ts';
import { createControl } from './control.ts';
import { typedMessage } from './failures.ts';
import { jobStep, trainsByJob } from './job-step.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Carried from run to run when the workflow continues as new. */
interface ReinforceState extends RlStart {
  live: LiveModel | null;
  startedAtMs: number;
  /** Why the arm ends before its last iteration. */
  stopped?: string;
}

/** The last iteration in a line. */
function iterationNote({ meanReward, passRate, meanTokens }: RlIteration): string {
  return `reward ${meanReward.toFixed(2)}, pass rate ${passRate.toFixed(2)}, ${meanTokens.toFixed(0)} tokens`;
}

/**
 * Reinforcement learning of one arm: prompts and checkpoint → checkpoint. One iteration is rollouts, one update, and
 * the new policy's publication; each is a durable step.
 */
export async function reinforce(input: StageInput<RlPlan> & { state?: ReinforceState } = {}): Promise<StageOutcome> {
  const control = createControl(input);
  const plan = await planOf(input, (resolved) => resolved.plan.rl[resolved.arm]);
  const { run, key, arm, policy, params, onFailure } = plan;
  const total = params.iterations;
  const resultName = artifactNames.result('rl', key);
  const startedAtMs = input?.state?.startedAtMs ?? Date.now();
  const sofar = {
    startedAtMs,
    done: input?.state?.iteration ?? 0,
    tokens: input?.state?.usage.completionTokens ?? 0,
  };

  const names = { name: 'rl' as const, arm, run, key, onFailure, resultName };
  return runStage({ ...names, total, unit: 'iterations', ...sofar }, control, async (track) => {
    const { rollout } = sampleActivities();
    const { updatePolicy, publish } = trainActivities();
    if (trainsByJob(policy)) return trainByJob();
    const state = input?.state ?? (await begin());
    const { prompts, tokenBudget } = state;
    let { stopped } = state;
    const firstOfRun = state.iteration;
    const { samplerModel } = state.checkpoint;
    if (samplerModel !== undefined) track.stage.policy = samplerModel;
    while (state.iteration < total && stopped === undefined) {
      const { iteration } = state;
      if (tokenBudget !== null && state.usage.completionTokens >= tokenBudget) {
        stopped = `sampled the ${tokenBudget} tokens that ${params.matchTokensOf}'s RL sampled`;
        break;
      }
      if (iteration - firstOfRun >= params.iterationsPerRun || historyIsLong()) {
        await continueAsNew<typeof reinforce>({ plan, state, ...control.carried() });
      }
      const { checkpoint, live } = state;
      const called = (what: string) => `iteration ${iteration}: ${what}`;
      const sampled = await control.step(called('sample'), () =>
        rollout.executeWithOptions({ summary: called('sample') }, [{ plan, iteration, prompts, checkpoint }]),
      );
      const update = await control.step(called('update'), (again) =>
        updatePolicy.executeWithOptions({ summary: called('update') }, [
          { plan, iteration, rollouts: sampled.ref, checkpoint, live: again ? null : live },
        ]),
      );
      const name = `rl-${arm}-${iteration}`;
      const published = await control.step(called('publish'), (again) =>
        publish.executeWithOptions({ summary: called('publish') }, [
          {
            policy,
            checkpoint: update.checkpoint,
            live: again ? null : update.live,
            name,
            release: iteration === total - 1,
            resume: plan.resume,
          },
        ]),
      );
      state.iteration += 1;
      state.checkpoint = published.checkpoint;
      state.live = published.live;
      state.usage = addUsage(state.usage, sampled.usage);
      state.history = remember(state.history, update.summary);
      await track.update({
        done: state.iteration,
        tokens: state.usage.completionTokens,
        note: iterationNote(update.summary),
        ...(published.checkpoint.samplerModel !== undefined && { policy: published.checkpoint.samplerModel }),
      });
      stopped = await stopOnCollapse(state);
    }
    return {
      usage: state.usage,
      checkpoint: state.checkpoint,
      iterations: state.iteration,
      ...(stopped && { stopped }),
    };

    /** The job samples and grades by itself: no rollouts and no iterations are recorded here. */
    async function trainByJob() {
      const start = await control.step('gathering the prompts', () => wholeSetActivities().prepareRl({ plan }));
      const { checkpoint } = await jobStep(control, `reinforce ${arm}`, (summary, failed) =>
        jobActivities().reinforceByJob.executeWithOptions({ summary }, [
          { plan, prompts: start.prompts, checkpoint: start.checkpoint, failed },
        ]),
      );
      await track.update({ done: total });
      const published = await control.step('publishing the model', () =>
        publish({ policy, checkpoint, live: null, name: `rl-${arm}`, release: true }),
      );
      return { usage: noUsage, checkpoint: published.checkpoint };
    }

    async function begin(): Promise<ReinforceState> {
      const start = await control.step('gathering the prompts', () => wholeSetActivities().prepareRl({ plan }));
      const stopped = await stopOnCollapse(start);
      const { iteration, usage } = start;
      if (iteration > 0) await track.update({ done: iteration, tokens: usage.completionTokens });
      const { checkpoint } = await control.step('publishing the start', () =>
        publish.executeWithOptions({ summary: 'publish the start' }, [
          // What made it may lie long ago: the sampler must have it now.
          {
            policy,
            checkpoint: start.checkpoint,
            live: null,
            name: `rl-${arm}-start`,
            release: true,
            resume: plan.resume,
          },
        ]),
      );
      return { ...start, checkpoint, live: null, startedAtMs, ...(stopped && { stopped }) };
    }
  });

  /** Gives the reason where a guard tripped and a person chose to keep what the arm has become. */
  async function stopOnCollapse({ history, iteration }: RlStart): Promise<string | undefined> {
    const guard = checkGuards(history, params.guards);
    if (guard.ok) return undefined;
    const failure = ApplicationFailure.nonRetryable(guard.reason, 'TrainingCollapsed');
    if (!control.asks()) throw failure;
    const action = await control.ask({
      what: `after ${iteration} iterations`,
      why: typedMessage(failure),
      offers: { skip: "ends this arm's RL here, with the model as it is", abort: 'ends the run with this failure' },
      refuses: { retry: 'the finished iterations are stored, and the guard would trip on them again' },
    });
    if (action === 'abort') throw failure;
    return guard.reason;
  }
}
