import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames } from '../../src/config/plan.ts';
import { checkpointNamed, newestCheckpoint } from '../../src/export/checkpoints.ts';
import { openTrainedRun, type TrainedRun } from '../support/trained-run.ts';

let run: TrainedRun;
beforeAll(async () => {
  run = await openTrainedRun();
});
afterAll(() => run.lab.close());

describe("an arm's checkpoint", () => {
  it('is the end of its training, or what there is on the way', async () => {
    const { lab, plan } = run;
    const search = await newestCheckpoint(lab.store, plan, 'search');
    expect(search).toMatchObject({
      name: 'search-rl',
      final: true,
      checkpoint: { id: `${plan.rl.search.key}/iter-1` },
    });
    const direct = await newestCheckpoint(lab.store, plan, 'direct');
    expect(direct).toMatchObject({ name: 'direct-sft', final: false });
    const withoutRl = {
      ...plan,
      rl: { ...plan.rl, direct: { ...plan.rl.direct, params: { ...plan.rl.direct.params, iterations: 0 } } },
    };
    expect(await newestCheckpoint(lab.store, withoutRl, 'direct')).toMatchObject({ name: 'direct-sft', final: true });
  });

  it('is found in the middle of fine-tuning and of RL', async () => {
    const { lab, plan } = run;
    const checkpoint = { id: 'x', step: 2, base: 'b', trainerState: 's' };
    const begun = {
      ...plan,
      sft: { ...plan.sft, search: { ...plan.sft.search, key: 'begun' } },
      rl: { ...plan.rl, search: { ...plan.rl.search, key: 'begun' } },
    };
    expect(await newestCheckpoint(lab.store, begun, 'search')).toBeNull();
    await lab.store.putJson(artifactNames.sftStep('begun', 2), { checkpoint });
    expect(await newestCheckpoint(lab.store, begun, 'search')).toMatchObject({
      name: 'search-sft-step-2',
      final: false,
    });
    await lab.store.putJson(artifactNames.update('begun', 0), { checkpoint });
    expect(await newestCheckpoint(lab.store, begun, 'search')).toMatchObject({
      name: 'search-rl-iter-0',
      final: false,
    });
  });

  it('is found by its name', async () => {
    const { lab, plan } = run;
    const named = (name: string) => checkpointNamed(lab.store, plan, name);
    expect(await named('search-sft')).toMatchObject({ final: true, checkpoint: { step: 4 } });
    expect(await named('search-rl-iter-0000')).toMatchObject({ name: 'search-rl-iter-0', final: false });
    expect(await named('search-sft-step-4')).toMatchObject({ checkpoint: { step: 4 } });
    await expect(named('search-rl-iter-9')).rejects.toThrow('has no checkpoint search-rl-iter-9');
    await expect(named('direct-rl')).rejects.toThrow('has no checkpoint direct-rl (yet)');
    for (const wrong of ['rl-search', '../search-rl', 'search-rl-step-3', 'base'])
      await expect(named(wrong)).rejects.toThrow('is no checkpoint');
  });
});
