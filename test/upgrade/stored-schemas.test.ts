import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { differences } from '../../chaos/differences.ts';
import { artifactNames } from '../../src/config/plan.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { SftRow } from '../../src/core/records.ts';
import { storedVersions } from '../../src/core/schemas.ts';
import { compareRuns } from '../../src/inspect/compare-runs.ts';
import { diffRuns } from '../../src/inspect/diff-runs.ts';
import { findEvalItem } from '../../src/inspect/eval-item.ts';
import { explain } from '../../src/inspect/explain.ts';
import { writeReportPage } from '../../src/inspect/report-page.ts';
import { type StoredRun, summaryOf } from '../../src/inspect/stored-run.ts';
import { findPlan, storedRuns } from '../../src/runs/plans.ts';
import { searchedProblems } from '../../src/runs/problems.ts';
import { readSearch } from '../../src/runs/search.ts';
import { movesOf } from '../../src/runs/traces.ts';
import { finishRun, smallRun } from '../support/finished-run.ts';
import { filesOf, type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { sumsRun } from '../support/sums.ts';

const stores = fileURLToPath(new URL('./stores/', import.meta.url));
const releases = readdirSync(stores).map((name) => name.replace('.tar.gz', ''));

/** A store as a release has left it. */
async function storeOf(release: string): Promise<Lab> {
  const folder = await mkdtemp(join(tmpdir(), 'astroflow-upgrade-'));
  await extract({ file: join(stores, `${release}.tar.gz`), cwd: folder });
  return openLab(folder);
}

/** The two runs of a recorded store, made or gone on with by this release. */
async function makeRuns(lab: Lab): Promise<void> {
  await finishRun(lab, smallRun, 'demo');
  const language = await lab.plan(sumsRun, 'astro/language');
  await searchAll(lab, language);
  await linearizeAll(lab, language);
}

const text = (bytes: Buffer) => (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString();

describe('what this release stores', () => {
  /** What holds no object of ours: rows as people write them, configurations, prompts, pages. */
  const withoutSchema =
    /^(problems\/|prompts\/|rl\/\w+\/prompts\.jsonl|runs\/\w+\/(config-\w+\.json|report\.(md|html))$)/;
  /** Stored by what these runs do not have: training by a job, and an attempt that is lost. */
  const notInThese = ['trained-by-job', 'lost-calls'];

  it('says its kind and version in every object', async () => {
    const lab = await openLab();
    try {
      await makeRuns(lab);
      const found = new Set<unknown>();
      for (const [name, bytes] of await filesOf(lab)) {
        if (withoutSchema.test(name)) continue;
        const objects = name.endsWith('.json') ? [text(bytes)] : text(bytes).trimEnd().split('\n');
        for (const object of objects) found.add((JSON.parse(object) as { schema?: string }).schema ?? name);
      }
      const written = Object.entries(storedVersions).filter(([kind]) => !notInThese.includes(kind));
      expect([...found].sort()).toEqual(written.map(([kind, version]) => `astroflow.${kind}/${version}`).sort());
    } finally {
      await lab.close();
    }
  });
});

describe.each(releases)('what release %s stored', (release) => {
  let lab: Lab;
  let run: StoredRun;
  beforeAll(async () => {
    lab = await storeOf(release);
    run = { name: 'demo', plan: (await findPlan(lab.store, 'demo'))!, store: lab.store };
  });
  afterAll(() => lab?.close());

  it('is read by everything that looks at a run', async () => {
    const { plan, store } = run;
    expect(await storedRuns(store)).toEqual(['demo', 'language']);
    const summary = (await summaryOf(run))!;
    expect(summary.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
    const compared = await compareRuns(run, run, { checkpoints: ['search-rl:base'], bootstrapSamples: 100 });
    expect(compared.comparisons.length).toBeGreaterThan(0);
    expect((await diffRuns(run, run)).results).toEqual([]);

    const problems = await store.getLines<Problem>(plan.search.problems);
    const searched = await searchedProblems(store, plan.search, problems);
    expect(searched.map(({ state }) => state)).toEqual(problems.map(() => 'finished'));
    const rows = await store.getLines<SftRow>((await store.find(artifactNames.rows(plan.linearize.key, 'search')))!);
    const problem = problems.find(({ id }) => id === rows[0]?.problemId)!;
    const search = (await readSearch(store, plan.search, problem))!;
    expect(movesOf(rows[0]!, search.tree, plan.search, problem)?.length).toBeGreaterThan(1);

    const item = await findEvalItem(run, 'new-numbers/0@search-rl');
    const explained = await explain(run, item, { limit: 3, textLength: 80, served: async () => null });
    expect(explained.trees.length).toBeGreaterThan(0);
    expect(await writeReportPage(store, plan, summary)).toBe('runs/demo/report.html');
  });

  it('is what the same runs need: they find every stage, and write nothing anew', async () => {
    const before = stagesOf(await filesOf(lab));
    await makeRuns(lab);
    const after = stagesOf(await filesOf(lab));
    expect([...after.keys()]).toEqual([...before.keys()]);
    expect([...after].filter(([name, bytes]) => !before.get(name)?.equals(bytes))).toEqual([]);
  });
});

describe.each(releases)('a run that release %s has begun', (release) => {
  it.each([
    ['after its training', /^(evaluate|runs)\//],
    ['inside RL', /^(evaluate|runs)\/|^rl\/\w+\/(iter-0001|result)/],
    ['inside the search', /^(linearize|sft|rl|evaluate|runs)\/|tree\.json$|round-0001|index-/],
  ])('is finished by this release %s, with the same content', async (_, lost) => {
    const lab = await storeOf(release);
    try {
      const recorded = await filesOf(lab);
      for (const name of recorded.keys()) if (lost.test(name)) await rm(join(lab.folder, name));
      await makeRuns(lab);
      expect(differences(comparable(recorded), comparable(await filesOf(lab)))).toEqual([]);
    } finally {
      await lab.close();
    }
  });
});

/** What stages stored; the rest is views, written anew by every run. */
function stagesOf(files: Map<string, Buffer>): Map<string, Buffer> {
  return new Map([...files].filter(([name]) => /^(search|linearize|sft|rl|evaluate)\//.test(name)));
}

/** Without the versions, which may have risen. */
function comparable(files: Map<string, Buffer>): Map<string, Buffer> {
  const bare = (bytes: Buffer) => Buffer.from(text(bytes).replaceAll(/"schema":"astroflow[^"]*",/g, ''));
  return new Map([...stagesOf(files)].map(([name, bytes]) => [name, bare(bytes)]));
}
