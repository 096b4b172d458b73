import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { AnswerRecord } from '../../src/core/records.ts';
import type { CountdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import { type Summary, summarySchema } from '../../src/report/summary-schema.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { SampleRequest, Sampler } from '../../src/services/sampler/sampler.ts';
import { type CallOptions, fineTuneArm, type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

/** One arm, without RL: the shortest plan that has something to compare. */
const config = {
  ...tinyRun,
  arms: ['search' as const],
  rl: { search: { iterations: 0 } },
};

let lab: Lab;
let plan: Plan;
let tuned: Checkpoint;
beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan(config);
  await searchAll(lab, plan);
  await linearizeAll(lab, plan);
  tuned = await fineTuneArm(lab, plan, 'search');
});
afterAll(() => lab.close());

const entries = () => plan.evaluate.checkpoints as [Entry, Entry];
type Entry = Plan['evaluate']['checkpoints'][number];

const benchmark = () => plan.evaluate.benchmarks[0]!;
const chunk = (entry: Entry, checkpoint: Checkpoint, first: number, options: CallOptions = {}) =>
  lab.call('evaluateChunk', { plan: plan.evaluate, entry, checkpoint, benchmark: benchmark(), first }, options);

const answersOf = async (entry: Entry, first: number) => {
  const name = artifactNames.answers(plan.evaluate.key, entry, benchmark().name, first);
  return lab.store.getLines<AnswerRecord>((await lab.store.find(name))!);
};

describe('the checkpoints of an evaluation', () => {
  it('are the base itself and what the stages stored', async () => {
    const [base, sft] = entries();
    const load = (entry: Entry) => lab.call('loadCheckpoint', { plan: plan.evaluate, entry });
    expect(await load(base)).toMatchObject({ id: 'base', trainerState: null, samplerModel: 'scripted-base' });
    expect(await load(sft)).toEqual(tuned);
    await expect(load({ name: 'search-rl', stage: 'rl', stageKey: 'nothing' })).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"reinforce"'),
    });
  });
});

describe('a chunk of answers', () => {
  it('holds every sample of every problem of its stretch, graded', async () => {
    const [, sft] = entries();
    const { answers, usage } = await chunk(sft, tuned, 4);
    const records = await answersOf(sft, 4);
    expect(answers).toBe(2 * 2);
    expect(records).toHaveLength(answers);
    expect(usage.completionTokens).toBe(records.reduce((sum, record) => sum + record.tokens, 0));
    for (const record of records) {
      expect(record).toMatchObject({
        schema: 'astroflow.answer/1',
        checkpoint: 'search-sft',
        benchmark: 'new-numbers',
      });
      expect(record.answerClass === null).toBe(record.verdict.answer === undefined);
    }
  });

  it('is sampled once', async () => {
    const [, sft] = entries();
    const first = await chunk(sft, tuned, 4);
    const deaf = (real: Sampler): Sampler => ({ ...real, sample: () => Promise.reject(new Error('asked again')) });
    expect(await chunk(sft, tuned, 4, { attempt: 2, doubles: { sampler: deaf } })).toEqual(first);
  });

  it('stands as an error where a problem gets no answer and the others do, each asked by itself', async () => {
    const [base] = entries();
    const loaded = await lab.call('loadCheckpoint', { plan: plan.evaluate, entry: base });
    const [hopeless, ...others] = (await lab.store.getLines<CountdownProblem>(benchmark().problems)).slice(0, 4);
    const asked: string[] = [];
    const choosy = (real: Sampler): Sampler => ({
      ...real,
      sample(request, signal) {
        asked.push(request.callId);
        const isRefused = request.prompts.some(({ text }) =>
          text.includes(`${hopeless!.data.numbers.join(' ')} to make`),
        );
        if (isRefused)
          return Promise.reject(new ServiceError('fatal', 'the prompt is too long', { service: 'sampler' }));
        return real.sample(request, signal);
      },
    });
    const own = { ...plan.evaluate, key: 'one-by-one' };
    const input = { plan: own, entry: base, checkpoint: loaded, benchmark: benchmark(), first: 0 };
    const whole = lab.call('evaluateChunk', input, { doubles: { sampler: choosy } });
    await expect(whole).rejects.toMatchObject({ type: 'ServiceRefused' });
    asked.length = 0;
    const { answers, usage } = await lab.call(
      'evaluateChunk',
      { ...input, oneByOne: true },
      { doubles: { sampler: choosy } },
    );
    expect(asked).toHaveLength(4);
    expect(new Set(asked).size).toBe(4);
    const ref = await lab.store.find(artifactNames.answers(own.key, base, benchmark().name, 0));
    const records = await lab.store.getLines<AnswerRecord>(ref!);
    expect([answers, records.length]).toEqual([8, 8]);
    const errors = records.filter(({ error }) => error !== undefined);
    expect(errors.map(({ problemId, sample, error }) => [problemId, sample, error])).toEqual([
      [hopeless!.id, 0, 'the prompt is too long'],
      [hopeless!.id, 1, 'the prompt is too long'],
    ]);
    expect(new Set(records.filter(({ error }) => error === undefined).map(({ problemId }) => problemId))).toEqual(
      new Set(others.map(({ id }) => id)),
    );
    expect(usage.calls).toBe(3);
    // What is stored is used again, and costs the same.
    expect(await lab.call('evaluateChunk', input)).toEqual({ answers, usage });
  });

  it('asks every checkpoint the same problems with the same seeds', async () => {
    const [base, sft] = entries();
    const asked: SampleRequest[] = [];
    const watching = (real: Sampler): Sampler => ({
      ...real,
      sample: (request, signal) => {
        asked.push(request);
        return real.sample(request, signal);
      },
    });
    const loaded = await lab.call('loadCheckpoint', { plan: plan.evaluate, entry: base });
    await chunk(base, loaded, 0, { doubles: { sampler: watching } });
    await chunk(sft, tuned, 0, { doubles: { sampler: watching } });
    const [a, b] = asked as [SampleRequest, SampleRequest];
    expect({ ...a, model: '', callId: '' }).toEqual({ ...b, model: '', callId: '' });
    expect(a.model).not.toBe(b.model);
    expect(a.callId).not.toBe(b.callId);
  });
});

describe('the summary', () => {
  const outcomes = [
    { name: 'search', reused: true },
    { name: 'sft', arm: 'search', reused: false },
  ];

  it('needs all stages and says which is missing', async () => {
    await expect(lab.call('writeSummary', { plan, outcomes })).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"searchCorpus"'),
    });
  });

  it('folds what the stages stored into summary.json and report.md', async () => {
    const usage = { calls: 1, promptTokens: 1, completionTokens: 10 };
    const result = { schema: 'astroflow.stage-result/1', usage, startedAtMs: 1000, endedAtMs: 3000 };
    await lab.store.putJson(artifactNames.searchResult(plan.search), { ...result, stage: 'search' });
    await lab.store.putJson(artifactNames.result('linearize', plan.linearize.key), { ...result, stage: 'linearize' });
    await lab.store.putJson(artifactNames.evaluationResult(plan.evaluate), { ...result, stage: 'evaluate' });
    for (const entry of entries()) {
      const loaded = await lab.call('loadCheckpoint', { plan: plan.evaluate, entry });
      for (const first of [0, 4]) await chunk(entry, loaded, first);
    }
    const written = await lab.call('writeSummary', { plan, outcomes });
    const summary = await lab.store.getJson<Summary>((await lab.store.find(written.summary))!);
    expect(summarySchema.parse(summary).scores.map((score) => score.checkpoint)).toEqual(['base', 'search-sft']);
    expect(summary.stages.map(({ name, reused }) => [name, reused])).toEqual([
      ['search', true],
      ['linearize', false],
      ['sft', false],
      ['evaluate', false],
    ]);
    // What the sampler served for the search beyond the ten tokens that its result credits.
    expect(summary.stages[0]?.wastedTokens).toBeGreaterThan(0);
    expect(written.scores).toHaveLength(2);
    expect(JSON.stringify(written).length).toBeLessThan(4096);
    expect(await lab.store.find(written.report)).not.toBeNull();
  });
});
