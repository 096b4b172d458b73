import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/cli/paths.ts';
import type { PolicyConfig, RunConfigInput } from '../src/config/schema.ts';
import { openServices } from '../src/services/index.ts';
import { tokenizerRenderer } from '../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../src/services/sampler/openai.ts';
import type { SampleRequest } from '../src/services/sampler/sampler.ts';
import { folderStore } from '../src/services/store/folder.ts';
import type { searchCorpus } from '../src/workflows/index.ts';
import type { Bed } from './bed.ts';
import { inFlight, timed } from './clock.ts';
import { cpuBetween, readCpu } from './cpu.ts';
import { medianRatio, type SearchResult } from './report.ts';
import { byProblem, recordRequests } from './requests.ts';

export interface SearchOptions {
  problems: number;
  rounds: number;
  /** Folder of the model, for its tokenizer. */
  model: string;
}

/** Children in flight and replayed problems in flight: the schema's default, which the demo's configuration keeps. */
const concurrency = 64;

/** The demo's search on the real services, and the very same requests to the engine without the pipeline around them. */
export async function measureSearch(bed: Bed, options: SearchOptions): Promise<SearchResult> {
  const { problems } = options;
  const env = { ...process.env, ASTROFLOW_ENGINE_URL: bed.engineUrl };
  const services = openServices(env);
  const store = folderStore(join(bed.folder, 'search-artifacts'));
  let recorded: SampleRequest[] = [];
  const recording = (policy: PolicyConfig) => {
    const real = services(policy);
    return { ...real, sampler: recordRequests(real.sampler, recorded) };
  };

  return bed.withWorkers({ store, services: recording }, async (taskQueue) => {
    const search = (name: string, count: number) =>
      timed(async () => {
        const result = await bed.client.workflow.execute<typeof searchCorpus>('searchCorpus', {
          workflowId: `astro/bench-${name}/search`,
          taskQueue,
          // The salt makes all content keys new, so nothing of an earlier round is found again.
          args: [{ ...demoSearch(options.model, count), run: `bench-${name}`, salt: name }],
        });
        return result.usage.completionTokens;
      });
    await search('warm-up', Math.min(8, problems));

    const rounds: SearchResult['rounds'] = [];
    for (let round = 1; round <= options.rounds; round++) {
      recorded = [];
      const before = readCpu(bed.pids);
      const pipeline = await search(`${round}`, problems);
      const cpu = cpuBetween(before, readCpu(bed.pids));
      const beforeRaw = readCpu(bed.pids);
      const raw = await timed(() => replay(recorded, env, options.model));
      const rawCpu = cpuBetween(beforeRaw, readCpu(bed.pids));
      rounds.push({ pipeline, raw, requests: recorded.length, cpu, rawCpu });
    }
    return {
      problems,
      concurrency,
      rounds,
      ratio: medianRatio(
        rounds,
        (r) => r.pipeline,
        (r) => r.raw,
      ),
    };
  });
}

/** The demo's configuration with another number of problems to search. */
function demoSearch(model: string, count: number): RunConfigInput {
  const demo = JSON.parse(readFileSync(join(packageRoot, 'configs', 'demo.json'), 'utf8')) as RunConfigInput;
  return {
    ...demo,
    policy: { ...demo.policy, tokenizer: model },
    search: { ...demo.search, problems: { split: 'train', count }, concurrency },
  };
}

/** Completion tokens of the same requests, problem by problem, as many problems at a time as the pipeline had. */
async function replay(requests: readonly SampleRequest[], env: NodeJS.ProcessEnv, model: string): Promise<number> {
  const config = { baseUrl: { env: 'ASTROFLOW_ENGINE_URL' }, timeoutMs: 120_000, prompts: 'tokens' } as const;
  const sampler = openaiSampler(config, env, tokenizerRenderer(model));
  const { signal } = new AbortController();
  let tokens = 0;
  await inFlight(byProblem(requests), concurrency, async (problem) => {
    for (const request of problem) {
      const result = await sampler.sample({ ...request, callId: `raw/${request.callId}` }, signal);
      tokens += result.completionTokens;
    }
  });
  return tokens;
}
