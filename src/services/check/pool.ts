import { endpointsOf } from '../pool/endpoints.ts';
import type { CheckRow } from './finding.ts';
import { checkOpenAiSampler, type SamplerCheck } from './openai-sampler.ts';
import { checkPublish } from './publish.ts';

/** Every server of a sampler, and how weights reach it; a run goes on without a server that others stand in for. */
export async function checkPool(check: SamplerCheck): Promise<CheckRow[]> {
  const { sampler, env } = check;
  const endpoints = found(() => endpointsOf(sampler, env, 'policy.sampler'));
  // An address that cannot be read is told as any other that does not answer.
  if (endpoints.length === 0) return checkOpenAiSampler(check);
  const rows = await Promise.all(
    endpoints.map(({ name, config }) => {
      const service = endpoints.length === 1 ? 'sampler' : `sampler ${name}`;
      const { endpoints: _, ...section } = sampler;
      return checkOpenAiSampler({ ...check, sampler: { ...section, ...config }, service });
    }),
  );
  const works = rows.map((list) => list.every(({ effect }) => effect !== 'stops'));
  const servers = rows.flatMap((list, at) => (works.includes(true) && !works[at] ? list.map(spared) : list));
  return [...servers, ...(await checkPublish(check, endpoints))];
}

function spared(row: CheckRow): CheckRow {
  if (row.effect !== 'stops') return row;
  return { ...row, effect: 'degrades', means: `the run goes on with the other servers; ${row.means ?? ''}` };
}

function found<T>(of: () => T[]): T[] {
  try {
    return of();
  } catch {
    return [];
  }
}
