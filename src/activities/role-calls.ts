import { type Role, roleCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type LanguagePlan, type LinearizePlan } from '../config/plan.ts';
import type { PromptName, PromptTexts } from '../core/language/prompt.ts';
import type { WrittenText } from '../core/language/votes.ts';
import { deriveSeed } from '../core/seed.ts';
import type { Task } from '../core/task.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import type { Services } from '../services/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { TextModel, TextRequest } from '../services/text-model/text-model.ts';
import type { Attempt } from './boundary.ts';
import { callModel } from './calls.ts';
import { failure } from './failures.ts';
import type { StoredTree } from './search.ts';

/** A plan whose judge or narrator is a model. */
export type SpokenPlan = LinearizePlan & { roles: LanguagePlan };

/** What judging and narrating a tree needs. */
export interface TreeContext {
  plan: SpokenPlan;
  task: Task;
  stored: StoredTree;
  prompts: PromptTexts;
  textModel: Services['textModel'];
  calls: RoleCalls;
  /** To the heartbeat. */
  report(phase: string, done: number, total: number): void;
}

type RoleRequest = Pick<TextRequest, 'messages' | 'n' | 'maxTokens' | 'temperature'>;

/** What a model in a role answered to one ask: stored before anything is made of it, so it is never asked for twice. */
export interface RoleAnswer {
  schema: 'astroflow.role-answer/1';
  callId: string;
  model: string;
  texts: WrittenText[];
  usage: Usage;
}

/** Calls for one tree, and what they cost, those of earlier attempts included: their answers are used as well. */
export function createRoleCalls(context: { store: ArtifactStore; plan: LinearizePlan; slug: string; at: Attempt }) {
  const { store, plan, slug, at } = context;
  const calls: string[] = [];
  let usage: Usage = noUsage;

  return {
    /** `id` names the ask inside tree and role. */
    async ask(role: Role, id: string, model: TextModel, request: RoleRequest): Promise<WrittenText[]> {
      const name = artifactNames.roleAnswer(plan.key, slug, `${role}-${id}`);
      let ref = await store.find(name);
      if (ref === null) {
        ref = await store.putJson(name, await call(role, id, model, request));
        at.stored();
      }
      // Another attempt may have stored its answer first; what is stored counts.
      const answer = await store.getJson<RoleAnswer>(ref);
      calls.push(answer.callId);
      usage = addUsage(usage, answer.usage);
      return answer.texts;
    },
    made: () => ({ calls, usage }),
  };

  async function call(role: Role, id: string, model: TextModel, request: RoleRequest): Promise<RoleAnswer> {
    const callId = `${roleCallPrefix(plan, role)}${slug}/${id}`;
    const seed = deriveSeed(plan.seed, plan.key, slug, role, id);
    const answer = await callModel(at, model, { ...request, callId, seed });
    return { schema: 'astroflow.role-answer/1', callId, model: model.name, ...answer };
  }
}

export type RoleCalls = ReturnType<typeof createRoleCalls>;

/** `resolveConfig` read and checked the prompts of every role that a model fills. */
export function promptOf({ prompts }: Pick<TreeContext, 'prompts'>, name: PromptName): string {
  const text = prompts[name];
  if (text === undefined) throw failure('InvalidConfig', `the plan holds no prompt "${name}": start the run anew`);
  return text;
}
