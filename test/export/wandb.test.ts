import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeWandb } from '../../src/export/wandb.ts';

it('wandb gets a run an arm, its rows by stage and step; of what it leaves only the runs stay', async () => {
  const root = await mkdtemp(join(tmpdir(), 'astroflow-wandb-'));
  const folder = join(root, 'out');
  const python = join(root, 'python');
  // Leaves behind what wandb leaves.
  const made = `${folder}/wandb/offline-run-1-demo-search-k`;
  await writeFile(
    python,
    `#!/bin/sh\ncat > ${root}/input.json\nmkdir -p ${made}/logs ${made}/files\n` +
      `touch ${made}/run.wandb ${folder}/wandb/debug.log\nln -s nowhere ${folder}/wandb/latest-run\n`,
  );
  await chmod(python, 0o755);
  const point = (step: number, value: number) => ({ step, value, timeMs: 0 });
  const series = {
    'sft/loss': [point(5, 2), point(10, 1)],
    'rl/reward': [point(1, 0), point(2, 0.5)],
    'rl/loss': [point(2, 3)],
  };
  const arm = { arm: 'search' as const, key: 'k', params: { seed: 1 }, finished: true, series };
  const options = { python, project: 'astro', signal: new AbortController().signal };
  await writeWandb({ run: 'demo', arms: [arm], missing: [] }, options, folder);

  expect(JSON.parse(await readFile(join(root, 'input.json'), 'utf8'))).toEqual({
    folder,
    project: 'astro',
    runs: [
      {
        id: 'demo-search-k',
        name: 'demo-search',
        group: 'demo',
        config: { seed: 1 },
        rows: [
          { 'sft/step': 5, 'sft/loss': 2 },
          { 'sft/step': 10, 'sft/loss': 1 },
          { 'rl/step': 1, 'rl/reward': 0 },
          { 'rl/step': 2, 'rl/reward': 0.5, 'rl/loss': 3 },
        ],
      },
    ],
  });
  expect(await readdir(folder)).toEqual(['offline-run-1-demo-search-k']);
  expect((await readdir(join(folder, 'offline-run-1-demo-search-k'))).sort()).toEqual(['files', 'run.wandb']);
  await rm(root, { recursive: true });
});
