/** What a request asks for, told from its method and target alone: nothing of it is a path of a file. */
export type Route =
  | { kind: 'home' }
  | { kind: 'asset'; name: string }
  | { kind: 'runs' }
  | { kind: 'run'; run: string; view: 'page' | 'status' | 'stages' | 'figures' | 'problems'; from: number }
  | { kind: 'problem'; run: string; slug: string; view: 'page' | 'search'; trace: number | null }
  | { kind: 'node'; run: string; slug: string; node: number }
  | { kind: 'refused'; status: 400 | 404 | 405; message: string };

/** As runs and slugs are made (`runNameFor`, `problemSlug`): one segment, no dot in front. */
const runName = /^[a-z0-9][a-z0-9._-]{0,199}$/;
const slugName = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,199}$/;
const assetName = /^[a-z][a-z-]{0,40}(?:\.browser\.js|\.css)$/;
const wholeNumber = /^\d{1,9}$/;

const notFound: Route = { kind: 'refused', status: 404, message: 'There is no such page.' };
const longest = 2000;

/** Only GET and HEAD, for nothing here changes anything; a target that is not one of ours, whatever it holds, is not found. */
export function routeOf(method: string, target: string): Route {
  if (method !== 'GET' && method !== 'HEAD')
    return { kind: 'refused', status: 405, message: 'This page only reads: GET and HEAD.' };
  if (!target.startsWith('/') || target.length > longest)
    return { kind: 'refused', status: 400, message: 'The address is not one of this page.' };
  const [path = '', query = ''] = target.split('?', 2);
  // Names need no escapes; one that has some is somebody's try at a name that the patterns below would refuse.
  if (path.includes('%')) return notFound;
  const numbers = new URLSearchParams(query);
  const [top, run, part, slug, last, node, ...rest] = path.slice(1).split('/');
  if (rest.length > 0) return notFound;
  if (top === '' && run === undefined) return { kind: 'home' };
  if (top === 'runs.json' && run === undefined) return { kind: 'runs' };
  if (top === 'assets' && part === undefined)
    return run !== undefined && assetName.test(run) ? { kind: 'asset', name: run } : notFound;
  if (top !== 'runs' || run === undefined || !runName.test(run)) return notFound;
  if (slug === undefined) {
    const view = runViews.get(part ?? '');
    return view === undefined ? notFound : { kind: 'run', run, view, from: numberOf(numbers.get('from')) ?? 0 };
  }
  if (part !== 'problems' || !slugName.test(slug)) return notFound;
  if (node !== undefined) {
    const id = last === 'nodes' ? numberOf(node) : null;
    return id === null ? notFound : { kind: 'node', run, slug, node: id };
  }
  if (last !== undefined && last !== 'search.json') return notFound;
  return {
    kind: 'problem',
    run,
    slug,
    view: last === undefined ? 'page' : 'search',
    trace: numberOf(numbers.get('trace')),
  };
}

const runViews = new Map([
  ['', 'page'],
  ['status.json', 'status'],
  ['stages', 'stages'],
  ['figures', 'figures'],
  ['problems', 'problems'],
] as const) as ReadonlyMap<string, Extract<Route, { kind: 'run' }>['view']>;

function numberOf(text: string | null): number | null {
  return text !== null && wholeNumber.test(text) ? Number(text) : null;
}

/** What a browser says of a request and where it comes from. */
export interface RequestOrigin {
  host?: string | undefined;
  /** `Sec-Fetch-Site`, `-Mode` and `-Dest`; programs send none. */
  site?: string | undefined;
  mode?: string | undefined;
  dest?: string | undefined;
}

const loopback = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i;

/**
 * Whether a request was meant for this page. A name that somebody else's page made point at this machine (DNS rebinding)
 * comes as another host; the port may be another one, that of a tunnel. What a foreign page fetches or frames is not
 * answered; a link on one may be followed. Where a token is demanded any name will do: a name that is not the page's own
 * has no cookie.
 */
export function isForUs({ host = '', site, mode, dest }: RequestOrigin, hasToken = false): boolean {
  if (!hasToken && !loopback.test(host)) return false;
  const isOwn = site === undefined || site === 'same-origin' || site === 'none';
  return isOwn || (mode === 'navigate' && dest === 'document');
}
