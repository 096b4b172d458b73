import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { chromiumPath, launchChromium, noBrowser } from '../../scripts/chromium.mjs';

const path = chromiumPath(process.env);
if (path === null) console.warn(`${noBrowser} The browser tests are skipped.`);

/** Whether there is a browser; without one a suite is skipped: `describe.skipIf(!hasBrowser)`. */
export const hasBrowser = path !== null;

export const openBrowser = (): Promise<Browser> => launchChromium(path as string);

/** A page and all that it did which nobody sees: errors, dialogs, requests beyond its own address. */
export interface WatchedPage {
  page: Page;
  troubles: string[];
}

/** Opens an address in a context of its own and writes down what goes wrong from the start. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const troubles: string[] = [];
  const { origin } = new URL(url);
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') troubles.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const to = new URL(request.url());
    const isOwn = to.protocol === 'data:' || request.url() === url || (origin !== 'null' && to.origin === origin);
    if (!isOwn) troubles.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return { page, troubles };
}

/** What axe-core finds that keeps people out: each rule with the elements that break it. */
export async function accessibilityTroubles(page: Page): Promise<string[]> {
  // By the debugger: a page whose content policy allows no script but its own lets no script element in.
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => {
    const { axe: checker } = globalThis as unknown as { axe: typeof import('axe-core') };
    return checker.run(document, { resultTypes: ['violations'] });
  });
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map((node) => `${node.target} ${node.failureSummary}`)
          .join(' | ')}`,
    );
}

/** Whether the page as a whole scrolls sideways; boxes inside it may. */
export const scrollsSideways = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
