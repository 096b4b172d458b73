import type { SampleRequest, SampleResult, Sampler } from '../services/sampler/sampler.ts';
import type { TextAnswer, TextModel, TextRequest } from '../services/text-model/text-model.ts';
import type { Attempt } from './boundary.ts';

/** What the attempt knows by itself. */
type Own = 'attempt' | 'activity';

/** A call to the sampler in an activity's attempt: under its name, for as long as it lasts, shown in its heartbeats. */
export async function callSampler(
  at: Attempt,
  sampler: Sampler,
  request: Omit<SampleRequest, Own>,
): Promise<SampleResult> {
  const own = { attempt: at.number, activity: at.activity };
  const { result } = await at.call(request.callId, loadOf(sampler), async () => {
    const result = await sampler.sample({ ...request, ...own }, at.signal);
    const { calls, promptTokens, completionTokens } = result;
    return { result, usage: { calls, promptTokens, completionTokens } };
  });
  return result;
}

/** The same of a model that writes text. */
export async function callModel(at: Attempt, model: TextModel, request: Omit<TextRequest, Own>): Promise<TextAnswer> {
  const own = { attempt: at.number, activity: at.activity };
  const { answer } = await at.call(request.callId, loadOf(model), async () => {
    const answer = await model.ask({ ...request, ...own }, at.signal);
    return { answer, usage: answer.usage };
  });
  return answer;
}

const loadOf = (service: Pick<Sampler, 'load'>) => () => service.load?.() ?? null;
