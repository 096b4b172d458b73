import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { AnswerRecord } from '../../src/core/records.ts';
import { collectMetrics } from '../../src/export/metrics.ts';
import { openTrainedRun, type TrainedRun } from '../support/trained-run.ts';

let run: TrainedRun;
beforeAll(async () => {
  run = await openTrainedRun();
});
afterAll(() => run.lab.close());

const collect = (plan: Plan = run.plan) => collectMetrics(run.lab.store, plan, plan.arms, 5000);

describe("a run's curves", () => {
  it('have a point for every chunk and iteration, and say what is missing', async () => {
    const { arms, missing } = await collect();
    const [search, direct] = arms;
    expect(search?.series['sft/loss']).toHaveLength(1);
    expect(search?.series['rl/reward']?.map(({ step, timeMs }) => [step, timeMs])).toEqual([
      [1, 2000],
      [2, 2000],
    ]);
    expect(Object.keys(search?.series ?? {})).toEqual(
      expect.arrayContaining([
        'sft/tokens',
        'rl/pass_rate',
        'rl/tokens_per_answer',
        'rl/backtracks_per_answer',
        'rl/entropy',
        'rl/logprob_gap',
      ]),
    );
    expect(search).toMatchObject({
      finished: true,
      key: run.plan.rl.search.key,
      params: { 'sft.batchSize': 4, 'task.name': 'countdown' },
    });
    expect(direct).toMatchObject({ finished: false });
    expect(missing).toContain('direct rl/… (nothing is measured)');
    expect(missing).toContain('scores of base on new-numbers');
  });

  it('hold the scores of every checkpoint that has answered a benchmark, before there is a summary', async () => {
    const { lab, plan } = run;
    const entry = plan.evaluate.checkpoints[1]!;
    expect(entry.name).toBe('search-sft');
    for (let first = 0; first < 6; first += 4) {
      const answers = Array.from({ length: Math.min(4, 6 - first) }, (_, i) => answer(first + i, first === 0));
      await lab.store.putLines(artifactNames.answers(plan.evaluate.key, entry, 'new-numbers', first), answers);
    }
    const { arms, missing } = await collect();
    expect(arms[0]?.series['eval/new-numbers/pass_at_1']).toEqual([{ step: 1, value: 4 / 6, timeMs: 5000 }]);
    expect(arms[1]?.series['eval/new-numbers/pass_at_1']).toBeUndefined();
    expect(missing).not.toContain('scores of search-sft on new-numbers');
  });

  it("of a training job are its trainer's own, step by step, and a step that was done again counts once", async () => {
    const { lab, plan } = run;
    const job = join(lab.folder, 'job');
    await mkdir(join(job, 'model'), { recursive: true });
    const lines = [
      { event: 'start', resumed_from: 0, total: 3 },
      { event: 'step', step: 1, total: 3, loss: 3 },
      { event: 'step', step: 2, total: 3, loss: 9 },
      { event: 'start', resumed_from: 1, total: 3 },
      { event: 'step', step: 2, total: 3, loss: 2 },
      { event: 'step', step: 3, total: 3, loss: 1, 'rewards/astro@mean': 0.5 },
    ];
    await writeFile(
      join(job, 'astroflow-log.jsonl'),
      `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"event":"st`,
    );
    const trained = (trainerState: string) => ({ checkpoint: { trainerState }, globalStep: 3, metrics: { loss: 1 } });
    const named = (key: string): Plan => ({ ...plan, sft: { ...plan.sft, search: { ...plan.sft.search, key } } });
    await lab.store.putJson(artifactNames.trained('sft', 'here'), trained(join(job, 'model')));
    await lab.store.putJson(artifactNames.trained('sft', 'away'), trained('/on/the/cluster/model'));

    const here = (await collect(named('here'))).arms[0]?.series;
    expect(here?.['sft/loss']?.map(({ step, value }) => [step, value])).toEqual([
      [1, 3],
      [2, 2],
      [3, 1],
    ]);
    expect(here?.['sft/rewards/astro_mean']).toHaveLength(1);
    const away = (await collect(named('away'))).arms[0]?.series;
    expect(away?.['sft/loss']?.map(({ step, value }) => [step, value])).toEqual([[3, 1]]);
  });
});

const answer = (number: number, correct: boolean): AnswerRecord => ({
  schema: 'astroflow.answer/1',
  problemId: `p${number}`,
  family: 'f',
  benchmark: 'new-numbers',
  sample: 0,
  checkpoint: 'search-sft',
  model: 'm',
  text: '1+1=2',
  tokens: 5,
  stopReason: 'stop',
  verdict: { correct, answer: '2', reason: '' },
  answerClass: '2',
  callId: 'c',
  seed: 1,
});
