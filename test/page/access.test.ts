import { afterEach, describe, expect, it } from 'vitest';
import { type PageOptions, type PageServer, startPage } from '../../src/page/server.ts';
import { memoryStore } from '../support/memory-store.ts';

const token = 'a-token-of-the-live-page';
const sources = {
  store: memoryStore(),
  list: async () => [],
  look: async () => null,
  figures: async () => ({ markup: '' }),
};

let page: PageServer | undefined;
afterEach(() => page?.close());
const start = async (options: Partial<PageOptions> = {}) => {
  page = await startPage(sources, { port: 0, token, ...options });
};
const get = (path: string, headers: Record<string, string> = {}) => fetch(`${page?.url}${path}`, { headers });
const login = (body: string, headers: Record<string, string> = {}) =>
  fetch(`${page?.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
  });
const browser = { accept: 'text/html,application/xhtml+xml' };

describe('a live page with a token', () => {
  it('shows nothing without it: no page, no data, no file', async () => {
    await start();
    for (const path of ['/', '/runs.json', '/runs/demo/', '/runs/demo/status.json', '/assets/page.css', '/nowhere']) {
      const response = await get(path);
      expect([path, response.status]).toEqual([path, 401]);
      expect(await response.text()).toBe('This page demands its token (ASTROFLOW_PAGE_TOKEN).\n');
    }
  });

  it('lets a program in by its header', async () => {
    await start();
    expect((await get('/runs.json', { authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await get('/runs.json', { authorization: `Bearer ${token}x` })).status).toBe(401);
    expect((await get(`/runs.json?token=${token}`)).status).toBe(401);
  });

  it('lets a browser in by a form, and knows it by a cookie that no script and no other site can use', async () => {
    await start();
    const form = await get('/', browser);
    expect([form.status, await form.text()]).toEqual([
      401,
      expect.stringContaining('<form method="post" action="/login">'),
    ]);
    expect(form.headers.get('content-security-policy')).toContain("form-action 'self'");
    const entered = await login(`token=${token}`);
    expect([entered.status, entered.headers.get('location')]).toEqual([303, '/']);
    const cookie = entered.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^astroflow-page=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/);
    expect(cookie).not.toContain(token);
    const home = await get('/', { ...browser, cookie: `other=1; ${cookie.split(';')[0]}` });
    expect([home.status, await home.text()]).toEqual([200, expect.stringContaining('There are no runs yet')]);
    expect((await login(`token=${token}`, { 'x-forwarded-proto': 'https' })).headers.get('set-cookie')).toMatch(
      /; Secure$/,
    );
  });

  it.each(['token=wrong', '', `token=${token}x`, `token=${token}&token=`.slice(0, 12), 'x'.repeat(100_000)])(
    'refuses a form that has not the token (%#)',
    async (body) => {
      await start();
      const refused = await login(body);
      expect([refused.status, refused.headers.get('set-cookie')]).toEqual([403, null]);
      expect(await refused.text()).toContain('That is not its token.');
    },
  );

  it('refuses the cookie of another token', async () => {
    await start({ token: 'another-token-of-a-page' });
    const cookie = (await login('token=another-token-of-a-page')).headers.get('set-cookie')?.split(';')[0] ?? '';
    await page?.close();
    await start();
    expect((await get('/runs.json', { cookie })).status).toBe(401);
  });

  it('answers under any name, but still not to what another page fetches', async () => {
    await start();
    const authorization = `Bearer ${token}`;
    expect((await get('/runs.json', { authorization, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await login(`token=${token}`, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' })).status).toBe(
      403,
    );
  });
});
