// Where a browser is, and how it is started: for the browser tests and the screenshots.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'];
const places = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/**
 * `CHROME_PATH`, which must then be there, else one of the usual names on PATH; null: this machine has none.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | null}
 */
export function chromiumPath(env) {
  if (env.CHROME_PATH) {
    if (!existsSync(env.CHROME_PATH)) throw new Error(`CHROME_PATH is ${env.CHROME_PATH}, where there is no file.`);
    return env.CHROME_PATH;
  }
  const onPath = (env.PATH ?? '').split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)));
  return [...onPath, ...places].find((path) => existsSync(path)) ?? null;
}

export const noBrowser =
  'No Chromium or Chrome was found on PATH. Install one (Debian: apt-get install chromium) or set CHROME_PATH to it.';

/**
 * A browser that speaks to nobody of its own accord, with an empty profile that goes with it.
 * @param {string} executablePath
 */
export function launchChromium(executablePath) {
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
