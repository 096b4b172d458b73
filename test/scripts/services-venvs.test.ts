import { describe, expect, it } from 'vitest';
import { environments, unavailableLines } from '../../scripts/services-venvs.mjs';

describe('the environments of third-party services', () => {
  it('pin every version', () => {
    for (const { torch, packages, alone = [] } of environments) {
      for (const name of [...packages, ...alone]) expect(name).toMatch(/^[\w[\],-]+==\d[\w.]+$/);
      expect(torch ?? '1.0.0').toMatch(/^\d+\.\d+\.\d+$/);
    }
  });

  it('that cannot be made are named with their reasons', () => {
    expect(unavailableLines([])).toBe('');
    const two = [
      { name: 'skyrl', reason: 'no Python from 3.12 to 3.14' },
      { name: 'jobs', reason: 'the disk is full' },
    ];
    expect(unavailableLines(two)).toBe('SKIPPED skyrl: no Python from 3.12 to 3.14\nSKIPPED jobs: the disk is full');
  });
});
