import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { artifactNames } from '../../src/config/plan.ts';
import type { Ledger } from '../../src/core/ledger/ledger.ts';
import { createServices, type Services } from '../../src/services/index.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { shortRun } from '../support/pipeline.ts';

/** As the engine's journal writes and serves it. */
interface Line {
  call: string;
  attempt: number;
  prompt_tokens: number;
  completion_tokens: number;
  delivered: boolean;
  activity: string;
}

let lab: Lab;
let services: Services;
let home: string;
let journal: Line[];
let printed = '';
let errors = '';

/** A run that has searched its problems, one of them twice, on an engine that has stopped since. */
beforeEach(async () => {
  [printed, errors] = ['', ''];
  lab = await openLab();
  const plan = await lab.plan(shortRun);
  services = createServices(plan.search.policy, {});
  const doubles = { sampler: () => services.sampler };
  for (let index = 0; index < plan.search.problems.count; index++)
    await lab.call('searchRounds', { search: plan.search, index, maxRounds: 9 }, { doubles });
  const served = (await services.sampler.journal('', new AbortController().signal)) ?? [];
  journal = served.map(({ id: call, attempt, activity, delivered, promptTokens, completionTokens }) => {
    return { call, attempt, prompt_tokens: promptTokens, completion_tokens: completionTokens, delivered, activity };
  });
  journal.push({ ...journal[0]!, attempt: 2 });

  home = mkdtempSync(join(tmpdir(), 'astroflow-ledger-'));
  symlinkSync(lab.folder, join(home, 'artifacts'));
  mkdirSync(join(home, 'engine'));
  const baseUrl = { env: 'ASTROFLOW_ENGINE_URL' };
  const sampler = { kind: 'openai', baseUrl, timeoutMs: 10_000, prompts: 'tokens' };
  const policy = { ...plan.search.policy, sampler };
  const onEngine = { ...plan, search: { ...plan.search, policy } };
  await lab.store.replaceText(artifactNames.run('lab', 'plan.json'), JSON.stringify(onEngine));
  vi.stubEnv('ASTROFLOW_HOME', home);
  vi.stubEnv('ASTROFLOW_ENGINE_URL', undefined);
  vi.spyOn(console, 'log').mockImplementation((text) => {
    printed += `${text}\n`;
  });
  vi.spyOn(console, 'error').mockImplementation((text) => {
    errors += `${text}\n`;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
  await lab.close();
});

const ledger = (...args: string[]) => main(['node', 'astroflow', 'ledger', ...args]);

function writeJournal(lines: readonly Line[]): void {
  writeFileSync(join(home, 'engine', 'usage.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

describe('astroflow ledger', () => {
  it('prints what each stage credits and wastes, from the file of an engine that has stopped', async () => {
    writeJournal(journal);
    appendFileSync(join(home, 'engine', 'usage.jsonl'), '{"call":"search/cut sho');
    expect(await ledger('lab')).toBe(0);
    const [search] = printed.split('\n').filter((line) => line.startsWith('search'));
    expect(search?.split(/\s+/)).toEqual([
      'search',
      `${journal.length - 1}`,
      expect.any(String),
      '1',
      expect.any(String),
      '0',
      '0',
      '0',
    ]);
    expect(printed).toContain('Wasted: 1 of search (another attempt).');
    expect(printed).toContain('The books are right.');
  });

  it('asks the engine page by page where it runs, and prints JSON by tree', async () => {
    const asked: string[] = [];
    const server: Server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      asked.push(`${url.pathname} ${url.searchParams.get('after')}`);
      const after = Number(url.searchParams.get('after'));
      const calls = journal
        .slice(after, after + 3)
        .filter(({ call }) => call.startsWith(url.searchParams.get('prefix')!));
      const next = after + 3 < journal.length ? after + 3 : null;
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ calls, next }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    vi.stubEnv('ASTROFLOW_ENGINE_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await ledger('lab', '--json', '--problems')).toBe(0);
    server.close();
    expect(asked.slice(0, 2)).toEqual(['/astroflow/calls 0', '/astroflow/calls 3']);
    const read = JSON.parse(printed) as Ledger & { run: string };
    expect(read).toMatchObject({ schema: 'astroflow.ledger/1', run: 'lab', errors: [] });
    expect(read.stages[0]?.parts).toHaveLength(shortRun.search.problems.count);
    expect(read.total.credited.calls + read.total.wasted.calls).toBe(journal.length);
  });

  it('ends with 1 when the books are wrong, and says which call and why', async () => {
    const [lost, twice] = journal as [Line, Line];
    writeJournal([...journal.slice(1, -1), twice]);
    expect(await ledger('lab')).toBe(1);
    expect(printed).toContain('The books are wrong in 2 respects:');
    expect(printed).toContain(`never served: ${lost.call}\n    search/`);
    expect(printed).toContain(`unexplained: ${twice.call}\n    served to attempt 1 of `);
  });

  it('estimates the waste where a service keeps no journal', async () => {
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    vi.stubEnv('ASTROFLOW_ENGINE_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await ledger('lab')).toBe(0);
    server.close();
    expect(printed).toMatch(/^search +\d+ +[\d,]+ +~0 +~0 +unknown +unknown +0$/m);
    expect(printed).toContain('Estimated (~): a service of search and evaluate keeps no journal');
  });

  it('says what is missing: the run, or the engine', async () => {
    expect(await ledger('other')).toBe(1);
    expect(errors).toContain(join('runs', 'other', 'plan.json'));
    expect(await ledger('lab')).toBe(1);
    expect(errors).toContain('ASTROFLOW_ENGINE_URL');
  });
});
