import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { renderChecks } from '../../src/cli/check.ts';
import { main } from '../../src/cli/main.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { folderTokenizer, type ModelServer, startModelServer } from '../support/model-server.ts';

const tokenizer = 'test/fixtures/chat/chatml';
let folder: string;
let server: ModelServer;
let printed = '';
let errors = '';
beforeEach(async () => {
  [printed, errors] = ['', ''];
  folder = mkdtempSync(join(tmpdir(), 'astroflow-check-'));
  const renderer = tokenizerRenderer(tokenizer, 'chat');
  const write = () => 'First we add, then we are done.';
  server = await startModelServer({ write, renderer, tokenize: folderTokenizer(tokenizer) });
  vi.spyOn(console, 'log').mockImplementation((text) => {
    printed += `${text}\n`;
  });
  vi.spyOn(console, 'error').mockImplementation((text) => {
    errors += `${text}\n`;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
  await server.close();
});

function check(config: object, ...flags: string[]): Promise<number> {
  const file = join(folder, 'run.json');
  writeFileSync(file, JSON.stringify(config));
  return main(['node', 'astroflow', 'check', file, ...flags]);
}

const policy = (change: object = {}) => ({
  base: 'model',
  tokenizer,
  template: 'chat',
  sampler: { kind: 'openai', baseUrl: server.baseUrl },
  trainer: null,
  ...change,
});

describe('astroflow check', () => {
  it('prints a table and ends with 0 when the run can work', async () => {
    expect(await check({ policy: policy() })).toBe(0);
    expect(printed).toMatch(/^policy {3}✓ tokenizer /);
    expect(printed).toMatch(/\nsampler {2}✓ reachable +http:/);
    expect(printed).toMatch(/\n\nThe run can work\.\n$/);
  });

  it('ends with 1 when it cannot, and says why under each ✗', async () => {
    expect(await check({ policy: policy({ base: 'other' }) })).toBe(1);
    expect(printed).toMatch(/✗ model .*other is not among model\n +stops the run: name a model that is served/);
    expect(printed).toMatch(/The run cannot work: 1 of the above stops it\.\n$/);
  });

  it('is JSON for programs', async () => {
    expect(await check({ policy: policy() }, '--json', '--deadline', '5')).toBe(0);
    const { ok, checks } = JSON.parse(printed) as { ok: boolean; checks: object[] };
    expect(ok).toBe(true);
    expect(checks).toContainEqual({ service: 'sampler', what: 'model', state: 'yes', found: 'model' });
  });

  it('lists everything that is wrong with a configuration, and asks nobody', async () => {
    expect(await check({ policy: policy({ template: 'jinja' }), search: { rounds: 0 }, extra: 1 })).toBe(1);
    expect(errors).toMatch(/run\.json has 3 problem\(s\):/);
    for (const path of ['policy.template', 'search.rounds', 'extra']) expect(errors).toContain(`  ${path}: `);
    expect(server.requests).toEqual([]);
  });

  it('keeps to the width of the terminal', () => {
    const means = 'a long explanation of what follows '.repeat(6);
    const row = { service: 'sampler', what: 'usage', state: 'no', effect: 'degrades', found: 'none', means } as const;
    const lines = renderChecks([row], 80).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.at(-1)).toBe('The run can work. It does so with less in 1 respect.');
  });
});
