import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflows } from '../../src/workers/bundle.ts';

/** Names the file of the bundle to the processes that run test files. */
const variable = 'ASTROFLOW_TEST_BUNDLE';

/** Bundles the workflows once for all files of a test run: two seconds of both cores each time otherwise. */
export async function setup(): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'astroflow-bundle-'));
  const file = join(folder, 'workflows.js');
  writeFileSync(file, (await bundleWorkflows()).code);
  process.env[variable] = file;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** The workflows as they are bundled without a codec and without traces. */
export async function sharedBundle(): Promise<{ code: string }> {
  const file = process.env[variable];
  return file === undefined ? bundleWorkflows() : { code: readFileSync(file, 'utf8') };
}
