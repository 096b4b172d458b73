import { describe, expect, it } from 'vitest';
import { identityOf } from '../../src/core/identity.ts';

describe('what a workflow is about', () => {
  it.each([
    ['astro/demo', 'astroPipeline', { run: 'demo', stage: 'pipeline' }],
    ['astro/demo/search', 'searchCorpus', { run: 'demo', stage: 'search' }],
    ['astro/demo/search/shard-00', 'searchShard', { run: 'demo', stage: 'search' }],
    ['astro/demo/search/p-12ab', 'searchProblem', { run: 'demo', stage: 'search', problem: 'p-12ab' }],
    ['astro/demo/linearize', 'linearizeCorpus', { run: 'demo', stage: 'linearize' }],
    ['astro/demo/sft/direct', 'fineTune', { run: 'demo', stage: 'sft', arm: 'direct' }],
    ['astro/demo/rl/search', 'reinforce', { run: 'demo', stage: 'rl', arm: 'search' }],
    ['astro/demo/evaluate', 'evaluate', { run: 'demo', stage: 'evaluate' }],
  ])('follows from %s', (id, type, identity) => {
    expect(identityOf(id, type)).toEqual(identity);
  });

  it('takes a stage that a person started, whatever its id', () => {
    expect(identityOf('astro/demo/searchProblem', 'searchProblem')).toEqual({ run: 'demo', stage: 'search' });
    expect(identityOf('My Run!', 'reinforce')).toEqual({ run: 'my-run-', stage: 'rl' });
  });

  it('says nothing of workflows that are not ours', () => {
    expect(identityOf('astro/demo', 'somethingElse')).toEqual({});
  });
});
