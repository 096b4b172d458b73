import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/cli/paths.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Summary } from '../../src/report/summary-schema.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import type { Doubles } from '../support/doubles.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { environment } from './environment.ts';
import { loraRank, type SkyrlServer, skyrlModel, startSkyrl } from './skyrl-server.ts';

/**
 * A run on SkyRL's real server, which samples and trains: search, linearisation, fine-tuning, reinforcement learning and
 * evaluation of both arms. Part of `npm run test:services`.
 */

const { missing } = environment('skyrl');
const smoke = JSON.parse(readFileSync(resolve(packageRoot, 'configs/smoke.json'), 'utf8')) as RunConfigInput;
/** The stages of `configs/smoke.json`, each with less to do. */
const smaller = {
  ...smoke,
  search: { ...smoke.search, problems: { split: 'train', count: 16 } },
  sft: {
    stepsPerChunk: 2,
    search: { steps: 4, warmupSteps: 1, batchSize: 8 },
    direct: { steps: 2, warmupSteps: 1, batchSize: 8 },
  },
  rl: {
    search: { iterations: 2, promptsPerIteration: 4, groupSize: 4, maxTokens: 96 },
    direct: { iterations: 1, promptsPerIteration: 4, groupSize: 4, maxTokens: 96 },
  },
  evaluate: {
    ...smoke.evaluate,
    benchmarks: { 'countdown-new-numbers': { split: 'test-numbers', count: 8 } },
    problemsPerChunk: 8,
  },
} satisfies RunConfigInput;

describe.skipIf(missing)('a run on SkyRL', () => {
  let folder: string;
  let server: SkyrlServer;
  let pipeline: Pipeline;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-skyrl-run-'));
    [pipeline, server] = await Promise.all([startPipeline(), startSkyrl(folder)]);
  });
  afterAll(async () => {
    await pipeline?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  async function runOf(config: RunConfigInput, doubles?: Doubles): Promise<Summary> {
    const service = { kind: 'tinker', baseUrl: server.baseUrl, timeoutMs: 180_000 } as const;
    const policy = { base: skyrlModel, sampler: service, trainer: { ...service, loraRank } };
    const { summary } = await pipeline.withWorkers(
      (taskQueue) =>
        pipeline.client.workflow.execute(astroPipeline, {
          workflowId: taskQueue,
          taskQueue,
          args: [{ ...smaller, ...config, run: taskQueue, policy, onFailure: 'fail' }],
        }),
      doubles,
    );
    return JSON.parse(readFileSync(join(pipeline.folder, summary), 'utf8'));
  }

  /** Trainer and sampler had the same weights at every iteration: the log-probabilities of what was sampled agree. */
  function sameWeights({ rl }: Summary): void {
    const gaps = Object.values(rl).flatMap((iterations) => iterations.map(({ logprobGap }) => logprobGap));
    expect(gaps.length).toBeGreaterThan(0);
    for (const gap of gaps) if (gap !== null) expect(gap).toBeLessThan(0.001);
  }

  it('goes from search to the scores of both arms', async () => {
    const summary = await runOf({});
    const names = summary.scores.map(({ checkpoint }) => checkpoint);
    expect(names).toEqual(['base', 'search-sft', 'search-rl', 'direct-sft', 'direct-rl']);
    expect(summary.funnel.searchRows).toBeGreaterThan(0);
    expect(summary.rl.search).toHaveLength(2);
    expect(summary.rl.direct).toHaveLength(1);
    sameWeights(summary);
  });

  it('goes on when the server and its engine are killed in the middle of fine-tuning', async () => {
    let steps = 0;
    let restarted: Promise<void> | undefined;
    const trainer: Doubles['trainer'] = (real) => ({
      ...real,
      async step(...args) {
        const [, , loss] = args;
        if (loss.name === 'cross_entropy') steps += 1;
        if (steps === 4 && restarted === undefined) {
          await server.kill();
          restarted = server.restart();
        }
        return real.step(...args);
      },
    });
    const oneArm = { arms: ['search'], salt: 'killed' } satisfies RunConfigInput;
    const summary = await runOf(oneArm, { trainer });
    await restarted;
    expect(summary.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
    // The second chunk, of steps 3 and 4, was begun again from the checkpoint at step 2.
    expect(steps).toBe(6);
    sameWeights(summary);
  });
});
