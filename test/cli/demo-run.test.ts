import { describe, expect, it } from 'vitest';
import { chooseRun } from '../../src/cli/demo-run.ts';
import { workflowIdFor } from '../../src/cli/start.ts';

const options = {
  document: { run: 'demo' },
  path: 'configs/demo.json',
  fresh: false,
  nowMs: Date.UTC(2030, 0, 2, 3, 4, 5),
};

describe('the run that demo works on', () => {
  it('is named by the configuration at first', () => {
    expect(chooseRun(undefined, options).chosen).toMatchObject({ run: 'demo', salt: '' });
  });

  it('is a new one with a new salt when it is to be fresh, which later demos continue', () => {
    const { chosen } = chooseRun(undefined, { ...options, fresh: true });
    expect(chosen).toMatchObject({ run: 'demo-20300102-030405', salt: '20300102-030405' });
    expect(chooseRun(chosen, options)).toEqual({ chosen, changed: false });
  });

  it('is known to have another configuration than it was started with', () => {
    const { chosen } = chooseRun(undefined, options);
    expect(chooseRun(chosen, { ...options, document: { run: 'demo', seed: 2 } as never }).changed).toBe(true);
  });

  it('has a workflow id that says what it is', () => {
    expect(workflowIdFor('demo', 'astroPipeline')).toBe('astro/demo');
    expect(workflowIdFor('demo', 'searchCorpus')).toBe('astro/demo/searchCorpus');
  });
});
