import type { SampleRequest, Sampler } from '../src/services/sampler/sampler.ts';

/** A sampler that remembers what it was asked, in the order of the asking. */
export function recordRequests(sampler: Sampler, recorded: SampleRequest[]): Sampler {
  return {
    ...sampler,
    sample(request, signal) {
      recorded.push(request);
      return sampler.sample(request, signal);
    },
  };
}

/**
 * The requests of each problem, in their order: within a problem each depends on the answers before it.
 * A search's call id is `search/<key>/<problem set>/<problem>/<round>/<ask>`.
 */
export function byProblem(requests: readonly SampleRequest[]): SampleRequest[][] {
  const groups = new Map<string, SampleRequest[]>();
  for (const request of requests) {
    const problem = request.callId.split('/').slice(0, 4).join('/');
    const group = groups.get(problem);
    if (group === undefined) groups.set(problem, [request]);
    else group.push(request);
  }
  return [...groups.values()];
}
