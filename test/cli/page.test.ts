import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeFrom } from '../../src/cli/home.ts';
import { openPage, type PageOptions } from '../../src/cli/page.ts';
import { type StoredRun, storeBrokenOffRun } from '../support/stored-run.ts';

let stored: StoredRun;
let options: PageOptions;
/** Nobody listens there. */
const nowhere = '127.0.0.1:1';
beforeAll(async () => {
  stored = await storeBrokenOffRun();
  options = {
    home: { ...homeFrom({}, stored.lab.folder), artifacts: stored.lab.folder },
    env: {},
    target: { connectionOptions: { address: nowhere }, namespace: 'default', address: nowhere, dataConverter: {} },
    port: 0,
  };
}, 30_000);
afterAll(() => stored?.lab.close());

describe('the live page without a server', () => {
  it('tells what is stored', async () => {
    const page = await openPage(options);
    try {
      const list = (await (await fetch(`${page.url}/runs.json`)).json()) as { runs: unknown[] };
      expect(list.runs).toEqual([
        expect.objectContaining({ run: 'lab', state: 'stored: unfinished', stage: 'search 50%' }),
      ]);
      const status = await (await fetch(`${page.url}/runs/lab/status.json`)).json();
      expect(status).toMatchObject({ schema: 'astroflow.status/1', source: 'store', status: null });
      expect((await fetch(`${page.url}/runs/other/status.json`)).status).toBe(404);
    } finally {
      await page.close();
    }
  });

  it('says so where the port that was asked for is taken', async () => {
    const page = await openPage(options);
    try {
      await expect(openPage({ ...options, port: page.port })).rejects.toThrow(/Port \d+ is taken: choose another/);
    } finally {
      await page.close();
    }
  });
});
