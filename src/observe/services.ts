import { Context } from '@temporalio/activity';
import { recorder } from '../core/metrics.ts';
import type { Usage } from '../core/usage.ts';
import type { Services } from '../services/index.ts';
import { outcomeOf } from '../services/outcome.ts';
import type { SampleRequest, Sampler } from '../services/sampler/sampler.ts';
import type { TextModel, TextRequest } from '../services/text-model/text-model.ts';
import type { Trainer } from '../services/trainer/trainer.ts';
import type { Tracing } from './tracing.ts';

/** Labels that `activityIdentity` adds to what an activity records. */
type OfStage = 'run' | 'stage' | 'arm';

/** Services whose calls are counted, timed and traced, each made once for the services it is laid around. */
export function observeServices<P>(services: (policy: P) => Services, tracing: Tracing): (policy: P) => Services {
  const observed = new WeakMap<Services, Services>();
  return (policy) => {
    const real = services(policy);
    const known = observed.get(real) ?? observe(real, tracing);
    observed.set(real, known);
    return known;
  };
}

function observe(real: Services, tracing: Tracing): Services {
  const models = new WeakMap<TextModel, TextModel>();
  return {
    ...real,
    sampler: observeSampler(real.sampler, tracing),
    trainer: observeTrainer(real.trainer, tracing),
    textModel(role) {
      const model = real.textModel(role);
      const known = models.get(model) ?? observeTextModel(model, tracing);
      models.set(model, known);
      return known;
    },
  };
}

function observeSampler(sampler: Sampler, tracing: Tracing): Sampler {
  return {
    ...sampler,
    sample: (request, signal) =>
      call({ request, model: request.model, signal, tracing }, async (trace) => {
        const answer = await sampler.sample({ ...request, trace }, signal);
        return { answer, usage: answer };
      }),
  };
}

function observeTextModel(model: TextModel, tracing: Tracing): TextModel {
  return {
    ...model,
    ask: (request, signal) =>
      call({ request, model: model.name, signal, tracing }, async (trace) => {
        const answer = await model.ask({ ...request, trace }, signal);
        return { answer, usage: answer.usage };
      }),
  };
}

interface Call {
  request: Pick<SampleRequest & TextRequest, 'callId' | 'attempt'>;
  model: string;
  signal: AbortSignal;
  tracing: Tracing;
}

/** One call of the pipeline, however many requests it becomes. */
async function call<T>(
  { request, model, signal, tracing }: Call,
  make: (trace: Record<string, string>) => Promise<{ answer: T; usage: Usage }>,
): Promise<T> {
  const record = recorder<OfStage>(Context.current().metricMeter);
  const role = roleOf(request.callId);
  const startedAt = performance.now();
  const attributes = {
    'astroflow.call': request.callId,
    'astroflow.attempt': request.attempt,
    'astroflow.role': role,
    'gen_ai.request.model': model,
  };
  return tracing.span('model call', attributes, async (span) => {
    try {
      const { answer, usage } = await make(span.headers());
      span.set({
        'astroflow.requests': usage.calls,
        'gen_ai.usage.input_tokens': usage.promptTokens,
        'gen_ai.usage.output_tokens': usage.completionTokens,
        'astroflow.outcome': 'answered',
      });
      record.add('astroflow_calls', 1, { role, outcome: 'answered' });
      record.observe('astroflow_call_duration', (performance.now() - startedAt) / 1000, { role });
      return answer;
    } catch (error) {
      const outcome = outcomeOf(error, signal);
      span.set({ 'astroflow.outcome': outcome });
      record.add('astroflow_calls', 1, { role, outcome });
      throw error;
    }
  });
}

/** Whom a call asks: calls of judge and narrator name their role behind the stage's key. */
function roleOf(callId: string): string {
  const [stage, , role] = callId.split('/');
  return stage === 'linearize' && role !== undefined ? role : 'policy';
}

function observeTrainer(trainer: Trainer, tracing: Tracing): Trainer {
  return {
    ...trainer,
    async step(live, data, loss, adam, signal) {
      const record = recorder<OfStage>(Context.current().metricMeter);
      const startedAt = performance.now();
      const attributes = {
        'astroflow.model': live.modelId,
        'astroflow.loss': loss.name,
        'astroflow.data': data.length,
      };
      const done = await tracing.span('optimiser step', attributes, () => trainer.step(live, data, loss, adam, signal));
      record.add('astroflow_optimiser_steps', 1, {});
      record.observe('astroflow_optimiser_step_duration', (performance.now() - startedAt) / 1000, {});
      return done;
    },
  };
}
