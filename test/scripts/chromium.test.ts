import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chromiumPath } from '../../scripts/chromium.mjs';

describe('the browser of this machine', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-chromium-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is what CHROME_PATH names, which must be there', () => {
    const path = join(folder, 'my-browser');
    expect(() => chromiumPath({ CHROME_PATH: path })).toThrow(`CHROME_PATH is ${path}, where there is no file.`);
    writeFileSync(path, '');
    expect(chromiumPath({ CHROME_PATH: path, PATH: '' })).toBe(path);
  });

  it('else has one of the usual names on PATH', () => {
    const path = join(folder, 'google-chrome');
    writeFileSync(path, '');
    chmodSync(path, 0o755);
    expect(chromiumPath({ PATH: `/nowhere:${folder}` })).toBe(path);
  });
});
