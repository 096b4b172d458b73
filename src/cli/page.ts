import { setTimeout as sleep } from 'node:timers/promises';
import type { AnswerSources } from '../page/answers.ts';
import { createFigures } from '../page/figures.ts';
import { type PageServer, startPage } from '../page/server.ts';
import { findPlan } from '../runs/plans.ts';
import type { BooksStatus, RunStatus } from '../runs/status.ts';
import { readToken, refusedHost } from '../services/access.ts';
import { openStore } from '../services/store/open.ts';
import { createBooksReader } from './books-reader.ts';
import { type Connected, connect, type Target, temporalTarget } from './connection.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { aborted, onInterrupt } from './interrupt.ts';
import { listRuns } from './list.ts';
import { lookAtRun } from './look.ts';

/** Beside the Temporal UI's. */
const usualPort = 8234;

const tokenVariable = 'ASTROFLOW_PAGE_TOKEN';

/** `astroflow page`: the live page over what is stored, and over the server if there is one, until Ctrl-C. */
export async function pageCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  options: { port?: number; host?: string },
): Promise<number> {
  const target = temporalTarget(env, home);
  const interrupt = onInterrupt(() => {});
  const page = await openPage({ home, env, target, ...options });
  try {
    console.log(`Live page    ${page.url}`);
    console.log(`It reads ${home.artifacts} and changes nothing. Ctrl-C ends it.`);
    await aborted(interrupt.signal);
    return 0;
  } finally {
    await page.close();
    interrupt.dispose();
  }
}

export interface PageOptions {
  home: Home;
  env: NodeJS.ProcessEnv;
  target: Target;
  /** Taken if it is free, and nothing else then; left out, the usual one or any. */
  port?: number;
  /** Beyond loopback it needs a token. */
  host?: string;
}

/** The live page, fed by the store and by the server while one answers. */
/**
 * @throws CliError for a token that cannot be used, a host that needs one, and a port that is taken
 */
export async function openPage({ home, env, target, port, host = '127.0.0.1' }: PageOptions): Promise<PageServer> {
  const { token, problem } = readToken(env, tokenVariable);
  const refused = problem ?? refusedHost('The live page', host, token, tokenVariable);
  if (refused !== null) throw new CliError(refused);
  const server = createConnection(target);
  try {
    const sources = await createSources(server.client, { home, env });
    const page = await listenOn(sources, { port, host, token });
    return {
      ...page,
      async close() {
        await page.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function listenOn(
  sources: AnswerSources,
  { port, ...at }: { port: number | undefined; host: string; token: string | undefined },
): Promise<PageServer> {
  try {
    return await startPage(sources, { ...at, port: port ?? usualPort });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (port !== undefined) throw new CliError(`Port ${port} is taken: choose another with --port, or leave it out.`);
    return startPage(sources, { ...at, port: 0 });
  }
}

type ClientSource = ReturnType<typeof createConnection>['client'];

async function createSources(
  withServer: ClientSource,
  surroundings: { home: Home; env: NodeJS.ProcessEnv },
): Promise<AnswerSources> {
  const store = await openStore(surroundings.home.artifacts);
  const books = new Map<string, { reader: ReturnType<typeof createBooksReader>; last?: BooksStatus }>();

  /** As they were read last; looking begins another reading when one is due. */
  function booksOf(run: string): BooksStatus | undefined {
    let known = books.get(run);
    if (known === undefined) {
      const reader = createBooksReader(
        () => findPlan(store, run),
        store,
        surroundings,
        (read) => {
          const entry = books.get(run);
          if (entry !== undefined) entry.last = read;
        },
      );
      known = { reader };
      books.set(run, known);
    }
    known.reader.look();
    return known.last;
  }

  return {
    store,
    figures: createFigures(store),
    list: () => withServer((client) => listRuns(client, store)),
    async look(run): Promise<RunStatus | null> {
      const look = await withServer((client) => lookAtRun(client, store, run, { asksClosed: false }));
      if (look === null) return null;
      const cost = booksOf(run);
      return { ...look.status, ...(cost !== undefined && { books: cost }) };
    },
  };
}

/** After a server did not answer it is left alone for so long: pages ask every other second. */
const restMs = 10_000;

/** Somebody waits for the page: what is stored can be shown before a server has answered. */
const patienceMs = 500;

/** One connection for as long as the page lives, made when it is first wanted; null while no server answers. */
function createConnection(target: Target) {
  let open: Promise<Connected | null> | null = null;
  let failedMs = Number.NEGATIVE_INFINITY;
  const underWay = new Set<Promise<unknown>>();

  function connected(): Promise<Connected | null> {
    if (open === null && performance.now() - failedMs < restMs) return Promise.resolve(null);
    open ??= connect(target).catch(() => {
      failedMs = performance.now();
      open = null;
      return null;
    });
    return Promise.race([open, sleep(patienceMs, null)]);
  }

  return {
    async client<T>(use: (client: Connected['client'] | null) => Promise<T>): Promise<T> {
      const work = connected().then((server) => use(server?.client ?? null));
      underWay.add(work);
      try {
        return await work;
      } finally {
        underWay.delete(work);
      }
    },
    /** A call under way would be tried again on the closed connection, so they end first. */
    async close(): Promise<void> {
      await Promise.allSettled(underWay);
      await (await open)?.close();
    },
  };
}
