import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isForUs, routeOf } from '../../src/page/routes.ts';

const refused = (status: number) => expect.objectContaining({ kind: 'refused', status });

describe('an address of the live page', () => {
  it.each([
    ['/', { kind: 'home' }],
    ['/runs.json', { kind: 'runs' }],
    ['/assets/tree.browser.js', { kind: 'asset', name: 'tree.browser.js' }],
    ['/runs/demo/', { kind: 'run', run: 'demo', view: 'page', from: 0 }],
    ['/runs/demo', { kind: 'run', run: 'demo', view: 'page', from: 0 }],
    ['/runs/demo/status.json', { kind: 'run', run: 'demo', view: 'status', from: 0 }],
    ['/runs/demo/problems?from=50', { kind: 'run', run: 'demo', view: 'problems', from: 50 }],
    ['/runs/demo/problems?from=-1', { kind: 'run', run: 'demo', view: 'problems', from: 0 }],
    ['/runs/a.b-1/problems/cd-1_a', { kind: 'problem', run: 'a.b-1', slug: 'cd-1_a', view: 'page', trace: null }],
    [
      '/runs/demo/problems/x/search.json?trace=2',
      { kind: 'problem', run: 'demo', slug: 'x', view: 'search', trace: 2 },
    ],
    ['/runs/demo/problems/x/nodes/7', { kind: 'node', run: 'demo', slug: 'x', node: 7 }],
  ])('%s is known', (target, route) => {
    expect(routeOf('GET', target)).toEqual(route);
    expect(routeOf('HEAD', target)).toEqual(route);
  });

  it.each([
    '/runs/../../etc/passwd',
    '/runs/demo/../other/',
    '/runs/%2e%2e/status.json',
    '/runs/demo%00/',
    '/runs/.hidden/',
    '/runs//status.json',
    '/runs/demo/problems/..',
    '/runs/demo/problems/..%2f..%2fplan',
    '/runs/demo/problems/a.b',
    '/runs/demo/problems/x/plan.json',
    '/runs/demo/problems/x/nodes/-1',
    '/runs/demo/problems/x/nodes/1e3',
    '/runs/demo/problems/x/nodes/1/more',
    '/runs/DEMO/',
    '/runs/demo\\..\\x',
    `/runs/${'a'.repeat(300)}/`,
    '/assets/../server.ts',
    '/assets/tree.browser.js/..',
    '/assets/server.ts',
    '/assets/__proto__',
    '/runs/demo/constructor',
    '/index.html',
    '//evil.example/',
  ])('%s is not', (target) => {
    expect(routeOf('GET', target)).toEqual(refused(404));
  });

  it('is refused where it is none at all, or to be changed', () => {
    expect(routeOf('GET', 'http://evil.example/')).toEqual(refused(400));
    expect(routeOf('GET', `/${'a'.repeat(3000)}`)).toEqual(refused(400));
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', '']) {
      expect(routeOf(method, '/runs/demo/')).toEqual(refused(405));
    }
  });

  it('never leads to a name with a dot in front, a slash or a control in it', () => {
    const piece = fc.oneof(
      fc.constantFrom('runs', 'demo', 'problems', '..', '.', '', 'nodes', 'search.json', '%2f'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
        const route = routeOf('GET', `/${pieces.join('/')}`);
        for (const name of Object.values(route).filter((one) => typeof one === 'string' && one !== route.kind)) {
          if (route.kind !== 'refused') expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/);
        }
      }),
    );
  });
});

describe('a request', () => {
  it('is for this page only under a name of loopback, whatever the port of a tunnel to it', () => {
    for (const host of ['127.0.0.1:80', 'localhost:9000', 'LOCALHOST', '[::1]:80'])
      expect(isForUs({ host })).toBe(true);
    for (const host of [
      'evil.example:80',
      '127.0.0.1.evil.example:80',
      'localhost.evil:80',
      '127.0.0.1:80@evil',
      '',
      undefined,
    ])
      expect(isForUs({ host })).toBe(false);
  });

  it('of another page is answered only where a person follows a link', () => {
    const host = '127.0.0.1:80';
    for (const site of ['cross-site', 'same-site']) {
      expect(isForUs({ host, site })).toBe(false);
      expect(isForUs({ host, site, mode: 'cors', dest: 'empty' })).toBe(false);
      expect(isForUs({ host, site, mode: 'no-cors', dest: 'script' })).toBe(false);
      expect(isForUs({ host, site, mode: 'navigate', dest: 'iframe' })).toBe(false);
      expect(isForUs({ host, site, mode: 'navigate', dest: 'document' })).toBe(true);
      expect(isForUs({ host: 'evil.example', site, mode: 'navigate', dest: 'document' })).toBe(false);
    }
    for (const site of ['same-origin', 'none']) expect(isForUs({ host, site, mode: 'cors', dest: 'empty' })).toBe(true);
  });
});
