import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Engine, startEngine } from '../../src/cli/engine.ts';
import { policy as policySchema } from '../../src/config/services-schema.ts';
import type { Summary } from '../../src/report/summary-schema.ts';
import { createServices } from '../../src/services/index.ts';
import type { Publisher } from '../../src/services/publisher/publisher.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { environment } from './environment.ts';
import { type RayCluster, startRay } from './ray-cluster.ts';

/**
 * A whole run with real parts: search on the bundled engine, fine-tuning and GRPO as TRL jobs of a real Ray cluster, each
 * model that they leave served by an engine of its own and scored by the pipeline. Part of `npm run test:services`.
 */

const { python, missing } = environment('jobs');
const base = fileURLToPath(new URL('../../engine/base/model', import.meta.url));
const bundled = 'astroflow-countdown';

describe.skipIf(missing)('a run whose models TRL trains', () => {
  let folder: string;
  let pipeline: Pipeline;
  let ray: RayCluster;
  const engines: Engine[] = [];
  const samplers = new Map<string, Sampler>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-trl-run-'));
    pipeline = await startPipeline();
    ray = await startRay(python);
    await serve(bundled, base);
  });
  afterAll(async () => {
    await Promise.all([pipeline?.close(), ray?.close()]);
    await Promise.all(engines.map(({ child }) => child.kill()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  /** An engine that serves a model's folder, and a sampler that asks it. */
  async function serve(name: string, model: string): Promise<void> {
    const data = mkdtempSync(join(folder, 'engine-'));
    const engine = startEngine({ data, model, logFile: join(data, 'engine.log'), threads: 1 });
    engines.push(engine);
    const sampler = { kind: 'openai', baseUrl: await engine.url } as const;
    samplers.set(name, createServices(policySchema.parse({ sampler, trainer: null }), {}).sampler);
  }

  /** Whoever asks for a published name is answered by its engine, where the model has the bundled one's name. */
  const routed = (real: Sampler): Sampler => {
    const of = (model: string) => samplers.get(model) ?? real;
    return {
      ...real,
      sample: (request, signal) => of(request.model).sample({ ...request, model: bundled }, signal),
      confirm: (model, signal) => of(model).confirm(bundled, signal),
      served: (prefix, signal) => of(bundled).served(prefix, signal),
      journal: (prefix, signal) => of(bundled).journal(prefix, signal),
    };
  };
  const publisher = (real: Publisher): Publisher => ({
    ...real,
    async publish(weights) {
      if (!samplers.has(weights)) await serve(weights, weights);
      return weights;
    },
  });

  it('goes from search to the scores of both models', async () => {
    const { summary } = await pipeline.withWorkers(
      (taskQueue) =>
        pipeline.client.workflow.execute(astroPipeline, {
          workflowId: 'trl-run',
          taskQueue,
          args: [
            {
              arms: ['search'],
              onFailure: 'fail',
              policy: {
                trainer: {
                  kind: 'job',
                  launcher: { kind: 'ray', address: ray.address },
                  recipe: { kind: 'trl', python, options: { save_steps: 5 } },
                  model: base,
                  folder: join(folder, 'jobs'),
                  pollMs: 200,
                },
              },
              search: { problems: { split: 'train', count: 20 }, rounds: 2 },
              sft: { search: { steps: 10, batchSize: 8, warmupSteps: 2 } },
              rl: { search: { iterations: 4, promptsPerIteration: 8, groupSize: 4, maxTokens: 96 } },
              evaluate: {
                benchmarks: { 'new-numbers': { split: 'test-numbers', count: 10 } },
                samplesPerProblem: 2,
                maxTokens: 96,
                bootstrapSamples: 100,
              },
            },
          ],
        }),
      { sampler: routed, publisher },
    );

    const report = JSON.parse(readFileSync(join(pipeline.folder, summary), 'utf8')) as Summary;
    expect(report.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
    const jobs = readdirSync(join(folder, 'jobs')).filter((name) => !name.startsWith('.'));
    expect(jobs.map((name) => name.split('-')[0]).sort()).toEqual(['rl', 'sft']);
    const settings = (stage: string) => {
      const job = jobs.find((name) => name.startsWith(stage)) as string;
      return JSON.parse(readFileSync(join(folder, 'jobs', job, 'job.json'), 'utf8'));
    };
    expect(settings('sft').model).toBe(base);
    expect(settings('rl').model).toMatch(/\/sft-search-[^/]+\/model$/);
    // One engine for the base, one for each model that was made.
    expect(engines).toHaveLength(3);
  });
});
