import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { homeFrom } from '../../src/cli/home.ts';
import { openPage as openLivePage } from '../../src/cli/page.ts';
import { packageRoot } from '../../src/cli/paths.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import { problemSlug } from '../../src/core/key.ts';
import type { Problem } from '../../src/core/problem.ts';
import { foldRounds } from '../../src/core/search/index.ts';
import type { SearchTree } from '../../src/core/search/types.ts';
import type { PageServer } from '../../src/page/server.ts';
import { findPlan } from '../../src/runs/plans.ts';
import { storedRounds } from '../../src/runs/rounds.ts';
import { hostile } from '../report/hostile.ts';
import { type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { brokenOffProblem, brokenOffRounds } from '../support/stored-run.ts';
import { accessibilityTroubles, hasBrowser, openBrowser, openPage, scrollsSideways } from './browser.ts';

const desk = { viewport: { width: 1280, height: 860 } };
const phone = { viewport: { width: 360, height: 740 }, hasTouch: true };
/** Nobody listens there: the page has only what is stored. */
const nowhere = '127.0.0.1:1';

describe.skipIf(!hasBrowser)('the live page of a run whose worker was killed in the middle of a search', () => {
  let folder: string;
  let lab: Lab;
  let plan: Plan;
  let problem: Problem;
  let browser: Browser;
  let live: PageServer;
  const pages: Page[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'astroflow-live-'));
    const home = homeFrom({ ASTROFLOW_HOME: folder }, folder);
    await searchUntilKilled(home.artifacts);
    lab = await openLab(home.artifacts);
    plan = (await findPlan(lab.store, 'lab')) as Plan;
    problem = (await lab.store.getLines<Problem>(plan.search.problems))[brokenOffProblem] as Problem;
    const target = {
      connectionOptions: { address: nowhere },
      namespace: 'default',
      address: nowhere,
      dataConverter: {},
    };
    live = await openLivePage({ home, env: {}, target, port: 0 });
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await live?.close();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
  });

  const open = async (path: string, options: BrowserContextOptions = desk) => {
    const opened = await openPage(browser, `${live.url}${path}`, options);
    pages.push(opened.page);
    return opened;
  };
  const treePath = () => `/runs/lab/problems/${problemSlug(problem.id)}`;
  const openTree = async (options?: BrowserContextOptions) => {
    const opened = await open(treePath(), options);
    await opened.page.locator('#drawing svg').waitFor();
    return opened;
  };
  /** What the search had after so many rounds, folded from the store. */
  const treeAt = async (count: number): Promise<SearchTree> => {
    const rounds = await storedRounds(lab.store, plan.search, problemSlug(problem.id));
    return foldRounds(problem.id, rounds.slice(0, count), plan.search.params);
  };
  /** Ids of the nodes that are seen, and what each says of itself. */
  const seen = (page: Page) =>
    page
      .locator('.node:not(.unborn)')
      .evaluateAll((nodes) => nodes.map((node) => [Number(node.getAttribute('data-node')), node.ariaLabel] as const));

  it('lists the run and shows how far it came, without an error', async () => {
    const { page, troubles } = await open('/');
    await page.getByRole('link', { name: 'lab' }).click();
    await page.getByRole('row', { name: /^search begun/ }).waitFor();
    await page.getByRole('link', { name: /^Use / }).first().waitFor();
    expect(await page.getByRole('progressbar', { name: 'search', exact: true }).getAttribute('value')).toBe('0');
    await page.getByText('Nothing to draw yet').waitFor();
    expect(troubles).toEqual([]);
  });

  it('scrubs to any moment of the search: what is shown is what the search had then', async () => {
    const { page, troubles } = await openTree();
    await page.getByText(`${brokenOffRounds} of at most 4 rounds are stored`).waitFor();
    const slider = page.getByRole('slider', { name: 'Round' });
    await slider.focus();
    for (const [key, count] of [
      ['ArrowLeft', 1],
      ['ArrowLeft', 0],
      ['End', brokenOffRounds],
      ['Home', 0],
      ['ArrowRight', 1],
    ] as const) {
      await page.keyboard.press(key);
      expect(await page.locator('#when').textContent()).toBe(`round ${count} of ${brokenOffRounds}`);
      const tree = await treeAt(count);
      const shown = await seen(page);
      expect(shown.map(([id]) => id).sort((a, b) => a - b)).toEqual(tree.nodes.map(({ id }) => id));
      for (const [id, label] of shown) {
        const { visits, value, prior } = tree.nodes[id]!;
        expect(label).toContain(`: ${visits} visits, Q ${value.toFixed(2)}, prior ${prior.toFixed(2)}`);
      }
    }
    expect(troubles).toEqual([]);
  });

  it('plays from the beginning to the end', async () => {
    const { page } = await openTree();
    await page.getByRole('button', { name: 'Play' }).click();
    await page.getByText(`round 0 of ${brokenOffRounds}`).waitFor();
    await page.getByText(`round ${brokenOffRounds} of ${brokenOffRounds}`).waitFor();
    await page.getByRole('button', { name: 'Play' }).waitFor();
  });

  it('is walked with the keyboard, and a node tells its numbers, rollouts and the calls behind it', async () => {
    const { page } = await openTree();
    for (let tabs = 0; tabs < 20 && (await page.locator('.node:focus').count()) === 0; tabs++)
      await page.keyboard.press('Tab');
    expect(await page.locator('.node:focus').getAttribute('data-node')).toBe('0');
    await page.keyboard.press('ArrowRight');
    await page.getByRole('heading', { name: 'Calls behind it' }).waitFor();
    const panel = page.getByRole('complementary', { name: 'Chosen node' });
    const said = (await panel.textContent()) ?? '';
    const node = (await treeAt(brokenOffRounds)).nodes[1]!;
    expect(said).toContain(`N${node.visits}Q${node.value.toFixed(3)}prior${node.prior.toFixed(3)}`);
    expect(said).toContain(node.text.trim());
    expect(said).toContain('of round 1, which made this node and others');
    expect(said).toContain(`/${problemSlug(problem.id)}/0/expand-0`);
    await page.keyboard.press('ArrowLeft');
    expect(await page.locator('.node:focus').getAttribute('data-node')).toBe('0');
  });

  it('shows what a model wrote as text, whatever it wrote', async () => {
    const other = (await lab.store.getLines<Problem>(plan.search.problems))[brokenOffProblem + 1] as Problem;
    const slug = problemSlug(other.id);
    const rollouts = [{ text: hostile, correct: 'unknown' as const, answer: hostile, tokens: 1 }];
    const child = { text: hostile, tokens: [1], meanLogprob: 0, multiplicity: 1, rollouts };
    await lab.store.putJson(artifactNames.searchRound(plan.search.key, slug, 0), {
      schema: 'astroflow.search-round/1',
      round: 0,
      expansions: [{ node: 0, children: [{ ...child, terminal: { correct: false, answer: hostile, sound: true } }] }],
      revisits: [],
      calls: [hostile],
      usage: { calls: 1, promptTokens: 1, completionTokens: 1 },
    });
    const { page, troubles } = await open(`/runs/lab/problems/${slug}`);
    await page.locator('.node circle:last-of-type').nth(1).click();
    await page.getByRole('heading', { name: 'Calls behind it' }).waitFor();
    expect(await page.locator('#node .step').textContent()).toContain('<img src=x onerror=alert(2)>');
    expect(await page.locator('#node img, #node script, #drawing img, #drawing script').count()).toBe(0);
    expect(troubles).toEqual([]);
  });

  it.each([
    ['light', desk],
    ['dark', desk],
    ['dark', phone],
  ] as const)('keeps nobody out in %s', async (colorScheme, options) => {
    for (const [path, link] of [
      ['/', 'lab'],
      ['/runs/lab/', /^Use /],
    ] as const) {
      const { page } = await open(path, { ...options, colorScheme });
      await page.getByRole('link', { name: link }).first().waitFor();
      expect(await accessibilityTroubles(page)).toEqual([]);
      expect(await scrollsSideways(page)).toBe(false);
    }
    const { page } = await openTree({ ...options, colorScheme });
    await page.locator('.node circle:last-of-type').nth(1).click();
    await page.getByRole('heading', { name: 'Calls behind it' }).waitFor();
    expect(await accessibilityTroubles(page)).toEqual([]);
    expect(await scrollsSideways(page)).toBe(false);
  });

  it('follows the search when another worker goes on with it, and then lays the traces over the tree', async () => {
    const { page, troubles } = await openTree();
    await page.getByText(`round ${brokenOffRounds} of ${brokenOffRounds}`).waitFor();
    await searchAll(lab, plan);
    await page.getByText('The search is finished.').waitFor();
    const { rounds } = await treeAt(Number.POSITIVE_INFINITY);
    expect(rounds).toBeGreaterThan(brokenOffRounds);
    expect(await page.locator('#when').textContent()).toBe(`round ${rounds} of ${rounds}`);
    await linearizeAll(lab, plan);
    const rows = page.getByLabel('Trace').locator('option');
    await page.waitForFunction(() => document.querySelectorAll('#trace option').length > 1);
    const label = (await rows.allTextContents()).find((text) => text.startsWith('search'))!;
    await page.getByLabel('Trace').selectOption({ label });
    await page.locator('path.trace').first().waitFor({ state: 'attached' });
    const backtracks = Number(/(\d+) backtrack/.exec(label)?.[1]);
    expect(await page.locator('.backtrack text').allTextContents()).toEqual(
      Array.from({ length: backtracks }, (_, i) => String(i + 1)),
    );
    await page.getByRole('button', { name: 'To the beginning' }).click();
    expect(await page.locator('.backtrack:not(.unborn)').count()).toBe(0);
    expect(troubles).toEqual([]);
  });
});

/** Its worker is really killed: SIGKILL, while a call of its third round is under way. */
async function searchUntilKilled(artifacts: string): Promise<void> {
  const script = join(packageRoot, 'test', 'fixtures', 'search-and-hang.ts');
  const worker = fork(script, [artifacts], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(worker, 'exit');
  const first = await Promise.race([once(worker, 'message'), ended]);
  if (first[0] !== 'hangs') throw new Error(`The search ended by itself: ${first}`);
  worker.kill('SIGKILL');
  await ended;
}
