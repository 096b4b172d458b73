import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemSlug } from '../../src/core/key.ts';
import type { Problem } from '../../src/core/problem.ts';
import { createFigures } from '../../src/page/figures.ts';
import type { SearchDocument } from '../../src/page/search-document.ts';
import { type PageServer, startPage } from '../../src/page/server.ts';
import { storedProgress } from '../../src/runs/stages.ts';
import { runStatus } from '../../src/runs/status.ts';
import { brokenOffRounds, type StoredRun, storeBrokenOffRun } from '../support/stored-run.ts';

let stored: StoredRun;
let page: PageServer;
let slugs: string[];
const evil = '<img src=x onerror=alert(1)>"\'';
beforeAll(async () => {
  stored = await storeBrokenOffRun();
  const { store } = stored.lab;
  const problems = await store.getLines<Problem>(stored.plan.search.problems);
  slugs = problems.map(({ id }) => problemSlug(id));
  const sources = {
    store,
    figures: createFigures(store),
    list: async () => [
      { run: 'lab', workflowId: 'astro/lab', state: evil, stage: evil, startedAt: null, attention: [evil] },
    ],
    async look(run: string) {
      if (run !== 'lab') return null;
      const progress = { ...(await storedProgress(store, stored.plan)), attention: evil };
      const times = { startedAtMs: null, endedAtMs: null, nowMs: 0 };
      return runStatus({ progress, workflowId: 'astro/lab', status: null, source: 'store', ...times });
    },
  };
  page = await startPage(sources, { port: 0 });
}, 60_000);
afterAll(async () => {
  await page?.close();
  await stored?.lab.close();
});

/** As it is written: `fetch` would tidy up a hostile path, and sets the host itself. */
function get(
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
) {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: page.port, path, method, headers }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('the live page', () => {
  it('answers every kind of address, and lets nothing run or load that is not its own', async () => {
    const search = `/runs/lab/problems/${slugs[2]}`;
    const paths = ['/', '/runs.json', '/runs/lab/', '/runs/lab/status.json', '/runs/lab/stages', '/runs/lab/figures'];
    const more = ['/runs/lab/problems', search, `${search}/search.json`, `${search}/nodes/1`, '/assets/page.css'];
    for (const path of [...paths, ...more, '/assets/tree.browser.js', '/assets/node-panel.browser.js']) {
      const { status, headers } = await get(path);
      expect([path, status]).toEqual([path, 200]);
      const policy = String(headers['content-security-policy']);
      expect(policy).toContain("default-src 'none'; script-src 'self';");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect((await get(path, { method: 'HEAD' })).body).toBe('');
    }
  });

  it('escapes what comes from outside', async () => {
    for (const path of ['/', '/runs/lab/', '/runs/lab/stages']) {
      const { body } = await get(path);
      expect(body).not.toContain('<img');
      expect(body).toContain('&#60;img src=x onerror=alert(1)&#62;');
    }
  });

  it('does not answer under another name, nor to another page, nor to more than reading', async () => {
    expect(await get('/', { headers: { host: `evil.example:${page.port}` } })).toMatchObject({ status: 403 });
    expect(await get('/', { headers: { 'sec-fetch-site': 'cross-site' } })).toMatchObject({ status: 403 });
    expect(await get('/runs.json', { method: 'POST' })).toMatchObject({ status: 405 });
  });

  it('knows nothing beyond its runs', async () => {
    const { key } = stored.plan.search;
    for (const path of [
      '/runs/other/',
      '/runs/other/figures',
      '/runs/lab/problems/unknown',
      `/runs/lab/problems/${slugs[2]}/nodes/9999`,
      `/runs/lab/problems/${slugs[3]}/search.json`,
      '/../../../../etc/passwd',
      '/runs/lab/../../package.json',
      `/search/${key}/${slugs[0]}/tree.json`,
      '/assets/..%2fserver.ts',
    ]) {
      const { status, body } = await get(path);
      expect([path, status]).toEqual([path, 404]);
      expect(body.length).toBeLessThan(120);
    }
  });

  it('tells every moment of a search that broke off, and of a node what is behind it', async () => {
    const search = JSON.parse((await get(`/runs/lab/problems/${slugs[2]}/search.json`)).body) as SearchDocument;
    expect(search).toMatchObject({ finished: false, mostRounds: 4 });
    expect(search.moments.map(({ rounds }) => rounds)).toEqual([0, 1, brokenOffRounds]);
    expect(search.nodes).toHaveLength(search.moments.at(-1)!.nodes);
    expect(search.svg).toContain('role="tree"');
    const node = JSON.parse((await get(`/runs/lab/problems/${slugs[2]}/nodes/1`)).body);
    expect(node).toMatchObject({ round: 1, calls: search.moments[1]!.calls });
    expect(node.calls[0]).toMatch(/^search\/.*\/0\/expand-0$/);
  });
});
