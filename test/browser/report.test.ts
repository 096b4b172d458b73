import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { renderPage } from '../../src/report/html/document.ts';
import { hostile } from '../report/hostile.ts';
import { reportExample, reportWith } from '../report/page-example.ts';
import { accessibilityTroubles, hasBrowser, openBrowser, openPage, scrollsSideways } from './browser.ts';

const phone = { viewport: { width: 360, height: 740 }, hasTouch: true };
/** Opens everything that is folded. */
const unfold = (page: Page) =>
  page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });

const desk = { viewport: { width: 1100, height: 900 } };

describe.skipIf(!hasBrowser)('report.html in a browser', () => {
  let browser: Browser;
  let folder: string;
  const pages: Page[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-report-'));
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
  });

  const fileOf = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return pathToFileURL(path).href;
  };
  const open = async (url: string, options: Parameters<typeof openPage>[2]) => {
    const opened = await openPage(browser, url, options);
    pages.push(opened.page);
    return opened;
  };
  const example = () => fileOf('report.html', renderPage(reportExample));

  it('opens from a file without an error and without a request', async () => {
    const { page, troubles } = await open(example(), { ...desk, offline: true });
    await page.waitForLoadState('networkidle');
    expect(await page.locator('h1').textContent()).toContain('95 % interval');
    expect(await page.locator('.drawing.on-wide svg').first().isVisible()).toBe(true);
    expect(troubles).toEqual([]);
  });

  it.each([
    ['a desk in light', { ...desk, colorScheme: 'light' }],
    ['a desk in dark', { ...desk, colorScheme: 'dark' }],
    ['a phone in dark', { ...phone, colorScheme: 'dark' }],
  ] as const)('keeps nobody out on %s', async (_, options) => {
    const { page } = await open(example(), options);
    await unfold(page);
    expect(await accessibilityTroubles(page)).toEqual([]);
  });

  it('fits a phone: the page does not scroll sideways, opened or folded', async () => {
    const { page } = await open(example(), phone);
    expect(await scrollsSideways(page)).toBe(false);
    await unfold(page);
    expect(await scrollsSideways(page)).toBe(false);
    expect(await page.locator('#scores .on-narrow').isVisible()).toBe(true);
    expect(await page.locator('#scores .on-wide').isVisible()).toBe(false);
  });

  it('follows the system in dark and light, and the button overrules it', async () => {
    const background = (page: Page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const line = (page: Page) =>
      page.evaluate(
        () => getComputedStyle(document.querySelector('#scores .on-wide svg [stroke-linecap=round]') as Element).stroke,
      );
    const light = (await open(example(), { ...desk, colorScheme: 'light' })).page;
    const dark = (await open(example(), { ...desk, colorScheme: 'dark' })).page;
    expect(await background(light)).not.toBe(await background(dark));
    expect(await line(light)).not.toBe(await line(dark));
    const button = dark.getByRole('button', { name: 'Theme: system' });
    await button.click();
    expect(await background(dark)).toBe(await background(light));
    await dark.getByRole('button', { name: 'Theme: light' }).click();
    expect(await dark.getByRole('button', { name: 'Theme: dark' }).isVisible()).toBe(true);
  });

  it('says what a node of a tree is when it is clicked, and folds what is below it', async () => {
    const { page, troubles } = await open(example(), desk);
    const tree = page.locator('#tree-1');
    const node = (id: number) => tree.locator(`.node[data-node="${id}"]`);
    const click = (id: number) => node(id).locator('circle').last().click();
    await click(1);
    const panel = tree.locator('.node-panel');
    expect(await panel.textContent()).toContain('9*4=36 left 3 36 to make 39');
    expect(await panel.textContent()).toMatch(/N\d.*Q\d\.\d{3}.*prior\d/);
    await click(1);
    expect(await node(2).isVisible()).toBe(false);
    expect(await node(5).isVisible()).toBe(true);
    expect(await node(1).getAttribute('aria-expanded')).toBe('false');
    await click(1);
    expect(await node(2).isVisible()).toBe(true);
    await click(2);
    expect(await panel.textContent()).toContain('✗ wrong');
    expect(troubles).toEqual([]);
  });

  it('is walked by the keyboard alone: links, folds, and trees by arrow keys', async () => {
    const { page } = await open(example(), desk);
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim().slice(0, 60) ?? '');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the report');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Theme: system');
    const root = page.locator('#tree-1 .node[data-node="0"]');
    await root.focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    const at = () => page.evaluate(() => document.activeElement?.getAttribute('data-node'));
    expect(await at()).toBe('2');
    await page.keyboard.press('ArrowDown');
    expect(await at()).toBe('3');
    await page.keyboard.press('ArrowLeft');
    expect(await at()).toBe('1');
    await page.keyboard.press('Enter');
    expect(await page.locator('#tree-1 .node[data-node="3"]').isVisible()).toBe(false);
    await page.keyboard.press('ArrowDown');
    expect(await at()).toBe('4');
    await page.keyboard.press('Home');
    expect(await at()).toBe('0');
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.closest('svg') === null)).toBe(true);
  });

  it('has every focus stop inside the page and seen', async () => {
    const { page } = await open(example(), desk);
    const hidden = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('a, button, summary, [tabindex="0"]')]
        .filter((stop) => stop.checkVisibility() && (stop.tabIndex < 0 || stop.getBoundingClientRect().width === 0))
        .map((stop) => stop.outerHTML.slice(0, 80)),
    );
    expect(hidden).toEqual([]);
  });

  it('shows transcripts that open, with moves told apart by more than colour', async () => {
    const { page } = await open(example(), desk);
    const second = page.locator('.transcript').nth(1);
    expect(await second.locator('.moves').isVisible()).toBe(false);
    await second.locator('summary').click();
    expect(await second.locator('.move.backtrack .mark').first().textContent()).toContain('↩ 1');
    expect(await second.locator('.move.reflect .mark').first().textContent()).toContain('?');
    const colours = await second.evaluate((block) =>
      ['forward', 'reflect', 'backtrack', 'answer'].map(
        (kind) => getComputedStyle(block.querySelector(`.move.${kind}`) as Element).borderLeftColor,
      ),
    );
    expect(new Set(colours).size).toBe(4);
  });

  it('runs nothing that a problem, an answer or a name says, clicked or not', async () => {
    const formula = `$\\href{javascript:alert(10)}{x}$ $x^2$ ${hostile}`;
    for (const [name, text] of Object.entries({ plain: hostile, formula })) {
      const { page, troubles } = await open(fileOf(`${name}.html`, renderPage(reportWith(text))), desk);
      await unfold(page);
      for (const node of await page.locator('#tree-1 .node circle:nth-of-type(2)').all()) await node.click();
      expect(await page.locator('#tree-1 .node-panel img, #tree-1 .node-panel script').count()).toBe(0);
      expect(
        await page.locator('iframe, img, form, object, embed, body script[src], a[href^="javascript"]').count(),
      ).toBe(0);
      expect(await page.evaluate(() => document.querySelectorAll('script:not([type])').length)).toBe(1);
      expect(await page.evaluate(() => document.body.innerText.includes('alert(1)'))).toBe(true);
      expect(troubles).toEqual([]);
    }
  });

  it('lets no script in that is not its own', async () => {
    const injected = renderPage(reportExample).replace('<main', '<script>document.title = "owned"</script><main');
    const { page, troubles } = await open(fileOf('injected.html', injected), desk);
    expect(await page.title()).toBe('demo: Astroflow report');
    expect(troubles.join()).toContain('Content Security Policy');
  });

  it('sets formulas with fonts from inside the page', async () => {
    const { page, troubles } = await open(fileOf('maths.html', renderPage(reportWith('$x^2 + \\frac{1}{2}$'))), desk);
    await page.evaluate(() => document.fonts.ready);
    const loaded = await page.evaluate(() =>
      [...document.fonts].filter(({ status }) => status === 'loaded').map(({ family }) => family),
    );
    expect(loaded).toContain('KaTeX_Math');
    expect(troubles).toEqual([]);
  });
});
