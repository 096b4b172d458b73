import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startEngine } from '../src/cli/engine.ts';
import { packageRoot, venvPython } from '../src/cli/paths.ts';
import { countdown } from '../src/core/tasks/countdown.ts';
import type { Renderer } from '../src/services/renderer/renderer.ts';
import { tokenizerRenderer } from '../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../src/services/sampler/openai.ts';
import type { Sampler } from '../src/services/sampler/sampler.ts';
import { timed } from './clock.ts';
import { type DecodeResult, medianRatio, type Rate } from './report.ts';

export interface DecodeOptions {
  folder: string;
  model: string;
  threads: number;
  sequences: number;
  tokensPerSequence: number;
  rounds: number;
}

/**
 * The engine with `sequences` requests at once against one `transformers.generate` call of the same batch: same
 * weights, prompts, length, threads, temperature 1 without filters. Both read a copy of the model that has no
 * end-of-text token, so that every sequence is as long as asked and neither side idles on finished rows.
 */
export async function measureDecode(options: DecodeOptions): Promise<DecodeResult> {
  const { folder, threads, sequences, tokensPerSequence } = options;
  const model = withoutEndOfText(resolve(packageRoot, options.model), join(folder, 'endless-model'));
  const renderer = tokenizerRenderer(model);
  const prompts = promptsOf(renderer, sequences);
  const data = join(folder, 'decode-engine');
  mkdirSync(data, { recursive: true });
  const engine = startEngine({ data, logFile: join(folder, 'decode-engine.log'), model, threads });
  const sampler = (url: string) =>
    openaiSampler({ baseUrl: url, timeoutMs: 600_000, prompts: 'tokens' }, process.env, renderer);
  const generate = startGenerate({ model, threads, prompts, tokens: tokensPerSequence });
  try {
    await generate.next();
    const url = await engine.url;
    await askEngine(sampler(url), prompts, tokensPerSequence, 0);
    const rounds: DecodeResult['rounds'] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const engineRate = await timed(() => askEngine(sampler(url), prompts, tokensPerSequence, round));
      rounds.push({ engine: engineRate, transformers: await generate.next() });
    }
    const ratio = medianRatio(
      rounds,
      (r) => r.engine,
      (r) => r.transformers,
    );
    return { sequences, tokensPerSequence, threads, rounds, ratio };
  } finally {
    await generate.stop();
    await engine.child.stop();
  }
}

function withoutEndOfText(from: string, to: string): string {
  cpSync(from, to, { recursive: true });
  const files = ['config.json', 'generation_config.json'].map((name) => join(to, name)).filter(existsSync);
  for (const file of files) {
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...config, eos_token_id: null }));
  }
  return to;
}

/** Countdown problems as the search asks them. */
function promptsOf(renderer: Renderer, count: number): number[][] {
  return countdown
    .generate({ split: 'train', count, seed: 1 })
    .map((problem) => renderer.prompt(countdown.prompt(problem)).tokens);
}

/** Tokens of one request per prompt, all at once. */
async function askEngine(sampler: Sampler, prompts: number[][], maxTokens: number, seed: number): Promise<number> {
  const { signal } = new AbortController();
  const counts = await Promise.all(
    prompts.map(async (prompt, index) => {
      const result = await sampler.sample(
        {
          callId: `decode/${seed}/${index}`,
          attempt: 1,
          model: 'astroflow-countdown',
          prompts: [{ tokens: prompt, text: '' }],
          n: 1,
          maxTokens,
          temperature: 1,
          stops: [],
          keepStop: false,
          seed: seed * prompts.length + index,
          logprobs: false,
        },
        signal,
      );
      return result.completionTokens;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A Python process that generates the batch once for every line it gets. */
function startGenerate(job: { model: string; threads: number; prompts: number[][]; tokens: number }) {
  const script = fileURLToPath(new URL('transformers_generate.py', import.meta.url));
  const child: ChildProcessWithoutNullStreams = spawn(venvPython(), [script], {
    env: { ...process.env, OMP_NUM_THREADS: `${job.threads}`, MKL_NUM_THREADS: `${job.threads}`, HF_HUB_OFFLINE: '1' },
  });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-2000);
  });
  const ended = new Promise<void>((done) => {
    child.once('close', () => done());
    child.once('error', (error) => {
      errors += error.message;
      done();
    });
  });
  // Writing to a process that is gone: `ended` tells the story.
  child.stdin.on('error', () => {});
  child.stdin.write(`${JSON.stringify(job)}\n`);
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async next(): Promise<Rate> {
      child.stdin.write('again\n');
      const { value } = await answers.next();
      if (value === undefined) throw new Error(`transformers.generate could not be measured:\n${errors}`);
      return JSON.parse(value as string) as Rate;
    },
    async stop(): Promise<void> {
      child.stdin.end();
      await ended;
    },
  };
}
