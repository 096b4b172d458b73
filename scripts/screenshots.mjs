// The pictures of pages in README and docs, of a run's stored artifacts and of its workflow:
//   npm run screenshots [-- RUN]      ASTROFLOW_HOME says where the run lies; without a name it is the demo's
// Look at each before you commit it.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromiumPath, launchChromium, noBrowser } from './chromium.mjs';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const images = join(root, 'docs', 'images');

/**
 * A picture of a page: of what a person at a desk or with a phone sees, or of one element of it.
 * @typedef {object} Shot
 * @property {string} file name under docs/images
 * @property {'light' | 'dark'} colorScheme
 * @property {{ width: number, height: number }} viewport
 * @property {string} [path] below the address
 * @property {{ of: string, option: number }} [choose] what is chosen of a list first
 * @property {string} [click] what is clicked then
 * @property {string} [wait] what must be there before the picture
 * @property {string} [of] the element; left out: the page from its top
 * @property {string} [until] from the page's top to the end of this element
 */

/** @type {readonly Shot[]} */
const report = [
  { file: 'report.png', colorScheme: 'light', viewport: { width: 1000, height: 1000 }, until: '#scores' },
  {
    file: 'report-tree.png',
    colorScheme: 'dark',
    viewport: { width: 1000, height: 1000 },
    click: '#tree-1 [data-node="1"] circle:nth-of-type(2)',
    of: '#tree-1',
  },
  { file: 'report-behaviour.png', colorScheme: 'light', viewport: { width: 1000, height: 1000 }, of: '#behaviour' },
];

/** Of the live page, of a run's overview and of one problem's search. @param {string} run @param {string} problem */
const livePage = (run, problem) => [
  {
    file: 'live-page.png',
    path: `/runs/${run}/`,
    colorScheme: /** @type {const} */ ('light'),
    viewport: { width: 1180, height: 860 },
    wait: '#figures svg >> nth=0',
  },
  {
    file: 'live-tree.png',
    path: `/runs/${run}/problems/${problem}`,
    colorScheme: /** @type {const} */ ('dark'),
    viewport: { width: 1180, height: 860 },
    choose: { of: '#trace', option: 2 },
    click: '#drawing [data-node="3"] circle:last-of-type',
    wait: '.node-panel h3',
  },
];

/** Of the workflow in Temporal's UI, with its live table of stages. @param {string} run */
const temporalUi = (run) => [
  {
    file: 'temporal-ui.png',
    path: `/namespaces/default/workflows/astro%2F${run}`,
    colorScheme: /** @type {const} */ ('light'),
    viewport: { width: 1600, height: 900 },
    click: 'text=User Metadata',
    // The UI shows texts of workflows in frames: the summary, then the details.
    wait: 'iframe >> nth=1 >> internal:control=enter-frame >> text=evaluate',
  },
];

/**
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {readonly Shot[]} shots
 */
async function shoot(browser, url, shots) {
  for (const { file, path: below = '', colorScheme, viewport, choose, click, wait, of, until } of shots) {
    const page = await browser.newPage({ colorScheme, viewport, deviceScaleFactor: 1.25 });
    await page.goto(`${url}${below}`);
    if (choose !== undefined) {
      await page.locator(`${choose.of} option`).nth(choose.option).waitFor({ state: 'attached' });
      await page.locator(choose.of).selectOption({ index: choose.option });
      await page.locator('path.trace').first().waitFor({ state: 'attached' });
    }
    if (click !== undefined) await page.locator(click).click();
    if (wait !== undefined) await page.locator(wait).first().waitFor({ state: 'attached' });
    const path = join(images, file);
    if (of !== undefined) await page.locator(of).screenshot({ path });
    else {
      const end = until === undefined ? null : await page.locator(until).boundingBox();
      const height = end === null ? viewport.height : Math.ceil(end.y + end.height) + 16;
      await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width: viewport.width, height } });
    }
    await page.close();
    console.log(path);
  }
}

/** A finished problem in the middle of the demo's set, by its row. */
const row = 3;

/** @param {string} run */
function problemToShow(run) {
  const told = execFileSync(process.execPath, [join(root, 'bin', 'astroflow.js'), 'tree', run, '--json']);
  return JSON.parse(told.toString()).problems[row].slug;
}

/**
 * While a command of ours serves pages.
 * @param {'page' | 'up'} command
 * @param {RegExp} ready its line that ends with the address
 * @param {(url: string) => Promise<void>} use
 */
async function withServer(command, ready, use) {
  const server = spawn(process.execPath, [join(root, 'bin', 'astroflow.js'), command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    let url;
    while (url === undefined) {
      const [more] = await Promise.race([once(server.stdout, 'data'), once(server, 'exit').then(() => [null])]);
      if (more === null) throw new Error(`astroflow ${command} ended: ${said}`);
      said += more;
      url = ready.exec(said)?.[1];
    }
    server.stdout.resume();
    await use(url);
  } finally {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
}

async function main() {
  const executable = chromiumPath(process.env);
  if (executable === null) throw new Error(noBrowser);
  const run = process.argv[2] ?? 'demo';
  const folder = mkdtempSync(join(tmpdir(), 'astroflow-screenshots-'));
  const browser = await launchChromium(executable);
  try {
    const page = join(folder, 'report.html');
    execFileSync(process.execPath, [join(root, 'bin', 'astroflow.js'), 'report', run, '--out', page], {
      stdio: 'inherit',
    });
    await shoot(browser, pathToFileURL(page).href, report);
    const address = /(http:\/\/\S+)/;
    await withServer('page', address, (url) => shoot(browser, url, livePage(run, problemToShow(run))));
    // The table is asked of a worker, which is there when the engine is.
    await withServer('up', /Temporal UI +(\S+)[\s\S]*Engine /, (url) => shoot(browser, url, temporalUi(run)));
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
