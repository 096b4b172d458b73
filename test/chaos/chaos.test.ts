import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/cli/paths.ts';

describe('a run whose worker and server are killed', () => {
  it('ends, on an S3 server, with the bytes, steps and credit of a run that was left alone in a folder', () => {
    const args = ['--import', 'tsx', 'chaos/main.ts', '--short', '--kills', '2', '--seed', '1', '--store', 's3'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: packageRoot,
      encoding: 'utf8',
      timeout: 170_000,
    });
    expect(status, stdout + stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      kills: { worker: 1, server: 1 },
      lostRounds: 0,
      duplicateRounds: 0,
      repeatedOptimizerSteps: 0,
      ledgerDifference: 0,
      differences: [],
    });
  });
});
