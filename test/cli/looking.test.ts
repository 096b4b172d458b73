import { execFile } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { booksLine } from '../../src/cli/books-reader.ts';
import { columnsOf } from '../../src/cli/columns.ts';
import { listLines } from '../../src/cli/list.ts';
import { packageRoot } from '../../src/cli/paths.ts';
import { problemSlug } from '../../src/core/key.ts';
import type { Problem } from '../../src/core/problem.ts';
import { readSearch } from '../../src/runs/search.ts';
import { brokenOffProblem, brokenOffRounds, type StoredRun, storeBrokenOffRun } from '../support/stored-run.ts';

describe('the list of runs', () => {
  const run = {
    run: 'demo',
    workflowId: 'astro/demo',
    state: 'running',
    stage: 'search 12%',
    startedAt: '2026-01-05T10:12:44.123Z',
    attention: ['search: problem 3'],
  };

  it('has a line for each, a stage that was started alone by its whole id, and fits its terminal', () => {
    const alone = { ...run, workflowId: 'astro/demo/fineTune', attention: [], startedAt: null };
    expect(listLines([run, alone], 200)).toEqual([
      'run                  state    stage       started              attention',
      'demo                 running  search 12%  2026-01-05 10:12:44  ! search: problem 3',
      'astro/demo/fineTune  running  search 12%',
    ]);
    for (const line of listLines([run, alone], 30)) expect(line.length).toBeLessThanOrEqual(30);
  });

  it('says how to get a first one', () => {
    expect(listLines([], 80)[0]).toContain('npm run demo');
  });
});

describe('what a run costs, in a line', () => {
  const books = { creditedTokens: 181_204, wastedTokens: 4010, openTokens: 0, estimated: false, wastedCalls: {} };
  it('says how sure it is of it', () => {
    expect(booksLine({ ...books, wastedCalls: { 'client gone': 2 } })).toBe(
      'tokens        181k credited, 4.0k wasted (2 client gone), 0 open',
    );
    expect(booksLine({ ...books, estimated: true, openTokens: null })).toBe(
      'tokens        181k credited, ~4.0k wasted, open unknown',
    );
  });
});

it('output that is no terminal is as wide as COLUMNS says', () => {
  expect(columnsOf({ columns: 70 }, { COLUMNS: '50' })).toBe(70);
  expect(columnsOf({} as never, { COLUMNS: '50' })).toBe(50);
  expect(columnsOf({} as never, { COLUMNS: 'wide' })).toBe(120);
});

describe('astroflow in a process of its own, over a run that broke off', () => {
  let stored: StoredRun;
  let problem: Problem;
  beforeAll(async () => {
    stored = await storeBrokenOffRun();
    problem = (await stored.lab.store.getLines<Problem>(stored.plan.search.problems))[brokenOffProblem]!;
  }, 30_000);
  afterAll(() => stored?.lab.close());

  /** With the store as a home's artifacts, nobody at the server's address, and a narrow pipe for a terminal. */
  async function astroflow(...args: string[]): Promise<string> {
    const home = `${stored.lab.folder}-home`;
    await mkdir(home, { recursive: true });
    await symlink(stored.lab.folder, join(home, 'artifacts'));
    try {
      const env = { ...process.env, ASTROFLOW_HOME: home, COLUMNS: '48', TEMPORAL_ADDRESS: '127.0.0.1:1' };
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [join(packageRoot, 'bin', 'astroflow.js'), ...args],
        { env, cwd: packageRoot },
      );
      return stdout;
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  }

  it('draws the tree so that it fits, without colours, at any moment', async () => {
    const slug = problemSlug(problem.id);
    const lines = (await astroflow('tree', 'lab', slug)).trimEnd().split('\n');
    expect(lines[1]).toMatch(new RegExp(`${brokenOffRounds} rounds`));
    expect(lines[2]).toMatch(/^\* root/);
    for (const line of lines) {
      expect(line.length).toBeLessThanOrEqual(48);
      expect(line).not.toContain('\u001b');
    }
    const before = (await astroflow('tree', 'lab', slug, '--at', '0')).trimEnd().split('\n');
    expect(before).toHaveLength(3);
  }, 30_000);

  it('knows only the end of a search whose rounds somebody has removed', async () => {
    const { store, folder } = stored.lab;
    const [first] = await store.getLines<Problem>(stored.plan.search.problems);
    const whole = await readSearch(store, stored.plan.search, first!);
    const searched = join(folder, 'search', stored.plan.search.key, problemSlug(first!.id));
    for (const name of await store.list(`search/${stored.plan.search.key}/${problemSlug(first!.id)}`)) {
      if (name.startsWith('round-')) await rm(join(searched, name));
    }
    const left = await readSearch(store, stored.plan.search, first!);
    expect(left?.tree).toEqual(whole?.tree);
    expect(left?.finished).toBe(true);
    expect(left?.moments).toHaveLength(1);
    expect(left?.moments[0]?.best).toEqual(whole?.moments.at(-1)?.best);
    await expect(astroflow('tree', 'lab', '0', '--at', '1')).rejects.toThrow(/rounds are no longer stored/);
    expect(await astroflow('tree', 'lab', '0')).toMatch(/^\* root/m);
  }, 30_000);
});
