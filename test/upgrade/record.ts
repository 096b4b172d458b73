/**
 * Records what a release stores: `npm run record:store`. Two runs without a server: `demo` has every stage of one arm,
 * `language` judges and narrates. Later releases must read and go on from it, so a release's file is never made anew.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { create } from 'tar';
import { finishRun, smallRun } from '../support/finished-run.ts';
import { linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { sumsRun } from '../support/sums.ts';

/** The release whose store is recorded. */
const release = 'v0.1';

async function record(): Promise<void> {
  const file = fileURLToPath(new URL(`./stores/${release}.tar.gz`, import.meta.url));
  if (existsSync(file)) throw new Error(`${file} is there already: a release's store stays as it was recorded`);
  const lab = await openLab();
  try {
    await finishRun(lab, smallRun, 'demo');
    const language = await lab.plan(sumsRun, 'astro/language');
    await searchAll(lab, language);
    await linearizeAll(lab, language);
    const filter = (name: string) => !name.includes('.tmp') && !name.endsWith('report.html');
    await create({ file, cwd: lab.folder, gzip: true, portable: true, filter }, ['.']);
  } finally {
    await lab.close();
  }
}

await record();
