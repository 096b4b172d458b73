import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { SftRow } from '../../src/core/records.ts';
import { astroPhrases } from '../../src/core/tasks/astro-phrases.ts';
import { type Summary, summarySchema } from '../../src/report/summary-schema.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import type { Doubles } from '../support/doubles.ts';
import { gsm8kWriter } from '../support/gsm8k-writer.ts';
import { openRecipe } from '../support/job-recipe.ts';
import {
  type ModelServer,
  type ServerBehaviour,
  simpleServer,
  startModelServer,
  strictServer,
} from '../support/model-server.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { rayDouble } from '../support/ray-double.ts';
import { startTinkerServer } from '../support/tinker-server.ts';
import { startVllm } from '../support/vllm-double.ts';

const tokenizer = 'test/fixtures/chat/chatml';
const renderer = tokenizerRenderer(tokenizer, 'chat');
const train = gsm8kWriter('data/gsm8k-train.jsonl', 8);
const test = gsm8kWriter('data/gsm8k-test.jsonl', 8);
const write: typeof train = (prompt, random) => {
  const text = train(prompt, random);
  return text === 'I do not know this problem.' ? test(prompt, random) : text;
};

type Shipped = RunConfigInput & {
  policy: { base: string; sampler: object; trainer: object | null };
  sft: { search: object; direct: object };
};
const shipped = (name: string): Shipped =>
  JSON.parse(readFileSync(new URL(`../../configs/${name}`, import.meta.url), 'utf8'));

/** A shipped configuration on a handful of its problems and with one token per byte, other services aside. */
function small(config: Shipped): RunConfigInput & Shipped {
  return {
    ...config,
    policy: { ...config.policy, tokenizer },
    roles: { judge: { votes: 2, accept: 'majority', maxTokens: 400 }, narrator: { maxTokens: 1200 } },
    search: {
      ...config.search,
      problems: { file: 'data/gsm8k-train.jsonl', limit: 5 },
      maxStepTokens: 1000,
      maxRolloutTokens: 3000,
      rounds: 6,
    },
    evaluate: {
      ...config.evaluate,
      benchmarks: { 'gsm8k-test': { file: 'data/gsm8k-test.jsonl', limit: 4 } },
      samplesPerProblem: 2,
      maxTokens: 4000,
      bootstrapSamples: 100,
    },
  };
}

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

async function run(
  name: string,
  config: RunConfigInput,
  doubles: Doubles = {},
): Promise<{ summary: Summary; rows: SftRow[] }> {
  await pipeline.withWorkers(
    (taskQueue) =>
      pipeline.client.workflow.execute(astroPipeline, {
        workflowId: `astro/${name}`,
        taskQueue,
        args: [{ ...config, run: name, salt: name }],
      }),
    doubles,
  );
  const { store } = pipeline;
  const summary = summarySchema.parse(
    await store.getJson((await store.find(artifactNames.run(name, 'summary.json')))!),
  );
  const rows = await store.getLines<SftRow>((await store.find(`${summary.artifacts.linearize}/search.jsonl`))!);
  return { summary, rows };
}

/** What a trained-on text must be, whichever server it came from. */
function expectTraces(rows: readonly SftRow[], base: string): void {
  expect(rows.some((row) => row.arm === 'search')).toBe(true);
  for (const row of rows) {
    expect(row.roles).toEqual({ policy: base, judge: base, narrator: base });
    expect(row.prompts).toMatch(/^[0-9a-f]{64}$/);
    expect(row.text.split(astroPhrases.backtrackMarker)).toHaveLength(row.plannedBacktracks + 1);
    expect(row.text.match(/\\boxed/g)).toHaveLength(1);
    expect(row.text).not.toContain('<|im_');
    expect(renderer.decode(row.completionTokens)).toBe(row.text);
    expect(row.completionTokens.at(-1)).toBe(renderer.eosToken);
  }
}

describe('gsm8k-openai.json', () => {
  it.each<[string, Partial<ServerBehaviour>, object]>([
    ['vLLM', {}, {}],
    ['OpenAI itself, which refuses what it does not know', strictServer, {}],
    ['a server of text and nothing else', simpleServer, { prompts: 'text' }],
  ])('gives trees, traces and scores on a server like %s', async (name, behaviour, sampler) => {
    const config = small(shipped('gsm8k-openai.json'));
    const { base } = config.policy;
    const server = await startModelServer({ write, renderer, behaviour: { ...behaviour, models: [base] } });
    try {
      const address = { kind: 'openai' as const, baseUrl: server.baseUrl, ...sampler };
      const slug = name.split(/\W/, 1)[0]!.toLowerCase();
      const { summary, rows } = await run(slug, { ...config, policy: { ...config.policy, sampler: address } });
      expectTraces(rows, base);
      expect(summary.funnel).toMatchObject({ problems: 5, trees: 5, language: { unreadVotes: 0 } });
      expect(summary.funnel.language?.narrated).toBeGreaterThan(0);
      expect(summary.scores).toMatchObject([{ checkpoint: 'base', problems: 4, unanswered: 0, truncated: 0 }]);
      expect(summary.scores[0]!.passAt1.value).toBeGreaterThan(0);
      expect(summary.comparisons).toEqual([]);
    } finally {
      await server.close();
    }
  });
});

describe('gsm8k-tinker.json', () => {
  it('goes through the whole pipeline on a Tinker server', async () => {
    const config = small(shipped('gsm8k-tinker.json'));
    const { base } = config.policy;
    const server = await startTinkerServer({ base, renderer, write });
    try {
      const at = { kind: 'tinker' as const, baseUrl: server.baseUrl };
      const rl = { iterations: 2, promptsPerIteration: 2, groupSize: 4, maxTokens: 4000 };
      const { summary, rows } = await run('tinker', {
        ...config,
        policy: { ...config.policy, sampler: at, trainer: { ...at, loraRank: 32 } },
        sft: {
          stepsPerChunk: 2,
          search: { ...config.sft.search, steps: 3, batchSize: 4, warmupSteps: 1 },
          direct: { ...config.sft.direct, steps: 2, batchSize: 4, warmupSteps: 1 },
        },
        rl: { difficulty: { low: 0, high: 1 }, search: rl, direct: rl },
      });
      expectTraces(rows, base);
      expect(summary.scores.map(({ checkpoint }) => checkpoint).sort()).toEqual(
        ['base', 'direct-rl', 'direct-sft', 'search-rl', 'search-sft'].sort(),
      );
      expect(summary.rl.search).toHaveLength(2);
      // Nothing the run made stays loaded on the service.
      expect([...server.steps.keys()]).toEqual([]);
    } finally {
      await server.close();
    }
  });
});

describe('gsm8k-vllm-tinker.json', () => {
  it('trains on a Tinker service and brings each policy to vLLM as an adapter', async () => {
    const config = small(shipped('gsm8k-vllm-tinker.json'));
    const { base } = config.policy;
    const folder = mkdtempSync(join(tmpdir(), 'astroflow-gsm8k-vllm-'));
    const [trainer, server] = [
      await startTinkerServer({ base, renderer, write }),
      await startVllm({ base, renderer, write }),
    ];
    const { sampler } = config.policy as { sampler: { publish: object } };
    const rl = { iterations: 2, promptsPerIteration: 2, groupSize: 4, maxTokens: 4000 };
    try {
      const { summary } = await run('vllm-tinker', {
        ...config,
        arms: ['search'],
        onFailure: 'fail',
        policy: {
          ...config.policy,
          sampler: {
            ...sampler,
            baseUrl: server.baseUrl,
            apiKey: undefined,
            publish: { ...sampler.publish, folder },
          },
          trainer: { ...config.policy.trainer, baseUrl: trainer.baseUrl, apiKey: undefined },
        } as RunConfigInput['policy'],
        sft: { search: { ...config.sft.search, steps: 3, batchSize: 4, warmupSteps: 1 } },
        rl: { difficulty: { low: 0, high: 1 }, search: rl },
      });
      expect(summary.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
      // The start of reinforcement learning, and each of its iterations.
      expect(server.adapters.size).toBe(3);
      expect([...server.adapters.values()].every((path) => path.startsWith(folder))).toBe(true);
    } finally {
      await Promise.all([trainer.close(), server.close()]);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('gsm8k-vllm-verl.json', () => {
  it('goes from search to the scores of models that jobs on Ray trained, served one after the other', async () => {
    const config = small(shipped('gsm8k-vllm-verl.json'));
    const { base } = config.policy;
    const folder = mkdtempSync(join(tmpdir(), 'astroflow-gsm8k-verl-'));
    const ray = await rayDouble();
    /** Weights that were served, in order. */
    const served: string[] = [];
    const server: ModelServer = await startModelServer({
      write,
      renderer,
      behaviour: { models: [base] },
      route({ path, body }) {
        if (path !== '/serve') return undefined;
        served.push(String(body.weights));
        server.behave({ models: [String(body.name)] });
        return {};
      },
    });
    // In place of examples/serve-vllm.sh, whose arguments it takes.
    const call = `const [weights, name] = process.argv.slice(1);
      fetch('${server.baseUrl}/serve', { method: 'POST', body: JSON.stringify({ weights, name }) });`;
    const { sampler, trainer } = config.policy as { sampler: { publish: { command: string[] } }; trainer: object };
    const publish = {
      ...sampler.publish,
      command: [process.execPath, '-e', call, ...sampler.publish.command.slice(1)],
    };
    const rl = { iterations: 2, promptsPerIteration: 2, groupSize: 4, maxTokens: 4000 };
    try {
      const { summary } = await run(
        'verl',
        {
          ...config,
          onFailure: 'fail',
          policy: {
            ...config.policy,
            sampler: { ...sampler, baseUrl: server.baseUrl, apiKey: undefined, publish },
            trainer: {
              ...trainer,
              folder,
              launcher: { kind: 'ray', address: ray.address },
              pollMs: 100,
            },
          } as RunConfigInput['policy'],
          sft: {
            search: { ...config.sft.search, steps: 3, batchSize: 4, warmupSteps: 1 },
            direct: { ...config.sft.direct, steps: 2, batchSize: 4, warmupSteps: 1 },
          },
          rl: { difficulty: { low: 0, high: 1 }, search: rl, direct: rl },
        },
        {
          // verl's recipe has its say, and a trainer in JavaScript stands in for what it would start.
          jobs: (real) => ({
            ...real,
            recipe: {
              ...openRecipe,
              prepare: (input) => ({ ...real.recipe.prepare(input), ...openRecipe.prepare(input) }),
            },
          }),
        },
      );
      expect(summary.scores.map(({ checkpoint }) => checkpoint).sort()).toEqual(
        ['base', 'direct-rl', 'direct-sft', 'search-rl', 'search-sft'].sort(),
      );
      // Fine-tuning holds the GPUs; GRPO asks Ray for them itself.
      const held = ray.submissions.map(({ submission_id: id, entrypoint_num_gpus: gpus }) => [
        `${id}`.slice(0, 13),
        gpus,
      ]);
      expect(held.sort()).toEqual([
        ['astroflow-rl-', undefined],
        ['astroflow-rl-', undefined],
        ['astroflow-sft', 8],
        ['astroflow-sft', 8],
      ]);
      // The base is served again for its scores, after the models of the stages had taken its place.
      expect(served).toContain(base);
      expect(served.filter((weights) => weights !== base).every((weights) => weights.startsWith(folder))).toBe(true);
    } finally {
      await Promise.all([server.close(), ray.close()]);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
