import type { PolicyConfig, RoleModelConfig } from '../config/schema.ts';
import { createGates, type Gates, type GateWatch } from './gate.ts';
import { createJobs, type Jobs } from './jobs/index.ts';
import { createPublisher } from './publisher/index.ts';
import type { Publisher } from './publisher/publisher.ts';
import type { Renderer } from './renderer/renderer.ts';
import { createRenderer } from './renderer/tokenizer.ts';
import { openaiSampler } from './sampler/openai.ts';
import type { Sampler } from './sampler/sampler.ts';
import { tinkerSampler } from './sampler/tinker.ts';
import { scriptedSampler } from './scripted/sampler.ts';
import { scriptedTrainer } from './scripted/trainer.ts';
import { openaiChatModel } from './text-model/openai-chat.ts';
import { policyTextModel } from './text-model/policy.ts';
import { scriptedTextModel } from './text-model/scripted.ts';
import type { TextModel } from './text-model/text-model.ts';
import { jobTrainer } from './trainer/job.ts';
import { noTrainer } from './trainer/none.ts';
import { tinkerTrainer } from './trainer/tinker.ts';
import type { Trainer } from './trainer/trainer.ts';

export interface Services {
  sampler: Sampler;
  trainer: Trainer;
  publisher: Publisher;
  /** Where the trainer runs stages as jobs; null where it makes steps. */
  jobs: Jobs | null;
  renderer: Renderer;
  /** The model that fills a role; `kind: 'policy'` is the policy's base. */
  textModel(role: RoleModelConfig): TextModel;
}

/** Told once what a service lacks and what is done instead. */
export type Warn = (message: string) => void;

/**
 * What a policy is made of. Nothing is contacted here: addresses and keys are read from `env` at each call. All that
 * is sampled from one address passes one of `gates`, whichever policy or role asks.
 *
 * @throws ServiceError (fatal) when the policy's tokenizer cannot be used
 */
export function createServices(
  policy: PolicyConfig,
  env: NodeJS.ProcessEnv,
  warn: Warn = console.warn,
  gates: Gates = createGates(warn),
): Services {
  const renderer = createRenderer(policy.tokenizer, policy.template);
  const publish = policy.sampler.kind === 'openai' ? policy.sampler.publish : undefined;
  const publisher = createPublisher(publish, env, policy.base);
  const sampler = createSampler(policy, env, renderer, { warn, gates, publisher });
  // One model for each role: it remembers what its server was seen to take.
  const models = new Map<string, TextModel>();
  return {
    renderer,
    sampler,
    trainer: createTrainer(policy, env, renderer),
    publisher,
    jobs: policy.trainer?.kind === 'job' ? createJobs(policy.trainer, env) : null,
    textModel(role) {
      const key = JSON.stringify(role);
      const model = models.get(key) ?? createTextModel(role, policy, env, { sampler, renderer, gates });
      models.set(key, model);
      return model;
    },
  };
}

/** Services by policy, made once per process: activities ask for them at every call. */
export function openServices(
  env: NodeJS.ProcessEnv,
  warn: Warn = console.warn,
  watch?: GateWatch,
): (policy: PolicyConfig) => Services {
  const gates = createGates(warn, undefined, watch);
  const open = new Map<string, Services>();
  return (policy) => {
    const key = JSON.stringify(policy);
    const services = open.get(key) ?? createServices(policy, env, warn, gates);
    open.set(key, services);
    return services;
  };
}

function createSampler(
  { sampler, base }: PolicyConfig,
  env: NodeJS.ProcessEnv,
  renderer: Renderer,
  { warn, gates, publisher }: { warn: Warn; gates: Gates; publisher: Publisher },
): Sampler {
  switch (sampler.kind) {
    case 'openai':
      return openaiSampler(sampler, env, renderer, { warn, gates, base, versions: publisher.versions });
    case 'tinker':
      return tinkerSampler(sampler, env, renderer, { gates });
    case 'scripted':
      return scriptedSampler({ renderer });
  }
}

function createTrainer({ trainer }: PolicyConfig, env: NodeJS.ProcessEnv, renderer: Renderer): Trainer {
  switch (trainer?.kind) {
    case undefined:
      return noTrainer;
    case 'tinker':
      return tinkerTrainer(trainer, env);
    case 'job':
      return jobTrainer;
    case 'scripted':
      return scriptedTrainer({ renderer });
  }
}

function createTextModel(
  role: RoleModelConfig,
  policy: PolicyConfig,
  env: NodeJS.ProcessEnv,
  { sampler, renderer, gates }: Pick<Services, 'sampler' | 'renderer'> & { gates: Gates },
): TextModel {
  switch (role.kind) {
    case 'policy':
      return policyTextModel(policy.base, sampler, renderer);
    case 'openai-chat':
      return openaiChatModel(role, env, { gates });
    case 'scripted':
      return scriptedTextModel();
  }
}
