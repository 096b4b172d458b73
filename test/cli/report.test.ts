import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { homeFrom } from '../../src/cli/home.ts';
import { reportCommand } from '../../src/cli/report.ts';
import { artifactNames } from '../../src/config/plan.ts';
// The command loads it when it runs; here that is no part of a test's time.
import '../../src/report/html/document.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import { example } from '../report/example.ts';

describe('astroflow report', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-report-'));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true, force: true });
  });
  const home = () => homeFrom({ ASTROFLOW_HOME: folder }, '/');

  /** A run that stored its plan, and nothing that the plan names. */
  async function storeRun() {
    const store = folderStore(home().artifacts);
    const problems = await store.putLines('problems/p.jsonl', []);
    const task = { name: 'countdown' };
    const config = await store.putJson('runs/demo/config.json', { run: 'demo', policy: { apiKey: 'secret-key' } });
    const search = { key: 's', task, problems, params: { pageSize: 100 } };
    const plan = { run: 'demo', config, search, linearize: { key: 'l', search }, evaluate: { benchmarks: [] } };
    await store.putJson(artifactNames.run('demo', 'plan.json'), plan);
    return store;
  }

  it('makes the page of a finished run beside its summary, and says where it is', async () => {
    const store = await storeRun();
    await store.replaceText(artifactNames.run('demo', 'summary.json'), JSON.stringify(example));
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    expect(await reportCommand(home(), 'demo', {})).toBe(0);
    const path = store.locate(artifactNames.run('demo', 'report.html'));
    expect(log).toHaveBeenCalledWith(path);
    const page = readFileSync(path, 'utf8');
    expect(page).toContain('<title>demo: Astroflow report</title>');
    expect(page.includes('secret-key')).toBe(false);
    const out = join(folder, 'mine.html');
    expect(await reportCommand(home(), 'astro/demo', { out })).toBe(0);
    expect(readFileSync(out, 'utf8') === page).toBe(true);
  });

  it('says what is missing: the run, its summary, or a summary that can be read', async () => {
    await expect(reportCommand(home(), 'demo', {})).rejects.toThrow(/There is no run demo .* `astroflow list`/);
    await expect(reportCommand(home(), '../x', {})).rejects.toThrow('There is no run ../x');
    const store = await storeRun();
    await expect(reportCommand(home(), 'demo', {})).rejects.toThrow(/no summary yet.*`astroflow status demo`/);
    await store.replaceText(artifactNames.run('demo', 'summary.json'), '{"schema": "astroflow.summary/9"}');
    await expect(reportCommand(home(), 'demo', {})).rejects.toThrow(
      /summary\/9, and this release reads up to version 2/,
    );
    await store.replaceText(artifactNames.run('demo', 'summary.json'), '{"schema": "astroflow.summary/2"}');
    await expect(reportCommand(home(), 'demo', {})).rejects.toThrow(/summary\.json is not a summary of a version/);
  });
});
