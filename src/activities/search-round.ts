import { searchCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type SearchPlan } from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import { askExpand, askRollout, closeRound, gradeRollout, mergeSteps } from '../core/search/index.ts';
import type {
  ExpandAsk,
  Rollout,
  RolloutAsk,
  SearchRound,
  SearchTree,
  ServedCompletions,
} from '../core/search/types.ts';
import { deriveSeed } from '../core/seed.ts';
import type { Task } from '../core/task.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import type { Services } from '../services/index.ts';
import type { Completion, Prompt } from '../services/sampler/sampler.ts';
import type { Attempt } from './boundary.ts';
import { callSampler } from './calls.ts';

export interface RoundContext {
  search: SearchPlan;
  task: Task;
  problem: Problem;
  slug: string;
  services: Pick<Services, 'sampler' | 'renderer'>;
  at: Attempt;
}

/** One round of a problem's search: the pure asks of `core/search`, answered by the sampler. */
export async function runRound(context: RoundContext, tree: SearchTree): Promise<SearchRound> {
  const { search, task, problem, services } = context;
  const { params } = search;
  const calls = createCalls(context, tree.rounds, services.renderer.prompt(task.prompt(problem)));

  const asks = askExpand(tree, params, task, problem);
  const steps = await calls.sample('expand', asks, params.algorithm !== 'sampling');
  const expansions = asks.map((ask, i) => ({
    node: ask.node,
    children: mergeSteps(params, task, problem, ask, steps[i] ?? []),
  }));

  const rolloutAsks = askRollout(tree, expansions, params);
  const completions = await calls.sample('rollout', rolloutAsks, false);
  const rollouts = rolloutAsks.map((ask, i): Rollout[] =>
    (completions[i] ?? []).map((completion) => gradeRollout(task, problem, ask.steps, completion)),
  );
  return closeRound(tree, params, { expansions, rolloutAsks, rollouts, ...calls.made() });
}

/** Turns asks into as few calls as their stop strings allow, and remembers what they cost. */
function createCalls({ search, task, slug, services, at }: RoundContext, round: number, prompt: Prompt) {
  const { params } = search;
  const ids: string[] = [];
  const served: ServedCompletions[] = [];
  let usage: Usage = noUsage;

  return {
    /** Completions of every ask, in the order of the asks. */
    async sample(kind: string, asks: readonly (ExpandAsk | RolloutAsk)[], logprobs: boolean): Promise<Completion[][]> {
      const answers: Completion[][] = asks.map(() => []);
      const groups = new Map<string, number[]>();
      for (const [i, ask] of asks.entries()) {
        const alike = JSON.stringify([stopsOf(ask), ask.count]);
        groups.set(alike, [...(groups.get(alike) ?? []), i]);
      }
      for (const [alike, members] of groups) {
        const [stops, n] = JSON.parse(alike) as [string[], number];
        const callId = `${searchCallPrefix(search)}${slug}/${round}/${kind}-${members[0]}`;
        const result = await callSampler(at, services.sampler, {
          callId,
          model: search.policy.base,
          prompts: members.map((i) => continued(prompt, asks[i] as ExpandAsk | RolloutAsk)),
          n,
          maxTokens: stops.length > 0 ? params.maxStepTokens : params.maxRolloutTokens,
          temperature: params.temperature,
          stops: [...stops, ...task.answerStops],
          keepStop: task.keepsStop,
          seed: deriveSeed(search.seed, search.key, slug, round, kind, members[0] ?? 0),
          logprobs: logprobs && 'wanted',
          // All asks of a problem begin with its prompt.
          affinity: slug,
        });
        for (const [position, i] of members.entries()) answers[i] = result.completions[position] ?? [];
        ids.push(callId);
        served.push(...servedOf(callId, result.completions.flat()));
        usage = addUsage(usage, {
          calls: result.calls,
          promptTokens: result.promptTokens,
          completionTokens: result.completionTokens,
        });
        at.unsettled({ result: artifactNames.searchRound(search.key, slug, round), usage });
      }
      return answers;
    },
    made: () => ({ calls: ids, usage, served }),
  };
}

/** Who served a call's completions; nothing where nobody knows. */
function servedOf(call: string, completions: readonly Completion[]): ServedCompletions[] {
  const counted = new Map<string, ServedCompletions>();
  for (const { servedBy } of completions) {
    if (servedBy === undefined) continue;
    const key = JSON.stringify([servedBy.endpoint, servedBy.weights]);
    const before = counted.get(key) ?? { call, ...servedBy, completions: 0 };
    counted.set(key, { ...before, completions: before.completions + 1 });
  }
  return [...counted.values()];
}

function continued(prompt: Prompt, ask: ExpandAsk | RolloutAsk): Prompt {
  return { tokens: [...prompt.tokens, ...ask.tokens], text: prompt.text + ask.steps.join('') };
}

function stopsOf(ask: ExpandAsk | RolloutAsk): string[] {
  return 'stops' in ask ? ask.stops : [];
}
