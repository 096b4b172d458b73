import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureScale, type ScaleResult } from '../../bench/scale/measure.ts';
import { largestPayload } from '../../bench/scale/report.ts';

const folder = mkdtempSync(join(tmpdir(), 'astroflow-scale-test-'));
const shape = { shards: 2, rounds: 3, roundsPerActivity: 1 };
const runs = {} as Record<'oneProcess' | 'twoProcesses', ScaleResult>;

beforeAll(async () => {
  const measure = (name: keyof typeof runs, workers: number) =>
    measureScale({ folder: join(folder, name), problems: 20, workers, ...shape });
  runs.oneProcess = await measure('oneProcess', 1);
  runs.twoProcesses = await measure('twoProcesses', 2);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('worker processes that share one run', () => {
  it('all do some of its work', () => {
    expect(Object.keys(runs.oneProcess.histories.searchProblem?.activitiesBy ?? {})).toHaveLength(1);
    expect(Object.keys(runs.twoProcesses.histories.searchProblem?.activitiesBy ?? {})).toHaveLength(2);
  });

  it('store what one of them stores, byte for byte', () => {
    const one = stored('oneProcess');
    expect(one.size).toBeGreaterThan(60);
    expect(stored('twoProcesses')).toEqual(one);
  });
});

describe('a searched problem', () => {
  it('asks the store as often as its rounds need, and looks through nothing else', () => {
    const { rounds } = shape;
    for (const { store, problems } of Object.values(runs)) {
      // Its rounds and its tree, and a share of the index and of what the configuration is resolved to.
      expect(store.search.put / problems).toBeLessThanOrEqual(rounds + 2);
      // An attempt of each round looks for the ones before it; page and index look for the tree.
      const before = (rounds * (rounds + 1)) / 2;
      expect(store.search.find / problems).toBeLessThanOrEqual(before + 3);
      expect(store.search.get / problems).toBeLessThanOrEqual(before + 2);
      expect(store.search.list).toBe(0);
    }
  });

  it('takes so many events, and no history or payload grows out of bounds', () => {
    for (const result of Object.values(runs)) {
      expect(result.histories.searchProblem?.events.max).toBeLessThanOrEqual(5 + 6 * shape.rounds);
      for (const { events } of Object.values(result.histories)) expect(events.max).toBeLessThanOrEqual(2_000);
      expect(largestPayload(result)).toBeLessThanOrEqual(64 * 1024);
    }
  });
});

/** Everything stored by the measured run, by name; what says when something was done is left out. */
function stored(name: keyof typeof runs): Map<string, string> {
  const artifacts = join(folder, name, 'artifacts');
  const files = readdirSync(artifacts, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const content = files.map((entry): [string, string] => {
    const path = join(entry.parentPath, entry.name);
    return [relative(artifacts, path), readFileSync(path, 'latin1').replace(/"(started|ended)AtMs":\d+/g, '')];
  });
  // The warm-up is as large as there are processes.
  return new Map(content.filter(([path]) => !isOf(path, content, 'warm-up')));
}

/** Whether an object belongs to a run: it is the run's own, or its name begins with a key of the run's plan. */
function isOf(path: string, content: readonly [string, string][], run: string): boolean {
  const plan = content.find(([name]) => name === join('runs', run, 'plan.json'))?.[1] ?? '{}';
  const { search, linearize } = JSON.parse(plan) as Record<string, { key: string; problems?: { uri: string } }>;
  return [`runs/${run}/`, `search/${search?.key}/`, `linearize/${linearize?.key}/`, search?.problems?.uri ?? '-'].some(
    (prefix) => path.startsWith(prefix),
  );
}
