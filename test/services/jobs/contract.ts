import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobBackend, JobSpec, JobState } from '../../../src/services/jobs/jobs.ts';
import { isAlive } from '../../support/processes.ts';

export interface Bench {
  backend: JobBackend;
  /** Between two looks at a job; a real cluster is asked less often than a double. */
  lookMs?: number;
  close(): Promise<void>;
}

/** What every place that runs jobs must do, tried with real programs. `open` gets a folder of its own. */
export function jobBackendContract(name: string, open: (root: string) => Promise<Bench>): void {
  describe(`jobs of ${name}`, () => {
    let folder: string;
    let bench: Bench;
    beforeEach(async () => {
      folder = realpathSync(await mkdtemp(join(tmpdir(), 'astroflow-jobs-')));
      bench = await open(folder);
    });
    afterEach(async () => {
      await bench.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    });

    const { signal } = new AbortController();
    const node = (id: string, program: string, more: Partial<JobSpec> = {}): JobSpec => ({
      id,
      command: [process.execPath, '-e', program],
      env: {},
      folder,
      resources: {},
      ...more,
    });
    const forEver = "require('node:fs').writeFileSync('pid', String(process.pid)); setInterval(() => {}, 1000)";
    async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
      while (!(await happened())) await delay(bench.lookMs ?? 0);
    }
    const over = ({ status }: JobState) => status !== 'pending' && status !== 'running';
    async function ended(id: string): Promise<JobState> {
      let state: JobState | null = null;
      await until(async () => {
        state = await bench.backend.get(id, signal);
        return state !== null && over(state);
      });
      return state as unknown as JobState;
    }
    const written = (file: string) => until(async () => existsSync(join(folder, file)) && read(file) !== '');
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');

    it('do not know an id that nobody submitted', async () => {
      expect(await bench.backend.get('nobody-1', signal)).toBeNull();
      await bench.backend.stop('nobody-1', signal);
      expect(await bench.backend.get('nobody-1', signal)).toBeNull();
    });

    it('run a program in its folder, with its environment and its very arguments', async () => {
      const words = ["it's", '$HOME `id` "x"', 'a\\b', ''];
      const program =
        "require('node:fs').writeFileSync('out.json', JSON.stringify([process.cwd(), process.env.GREETING, process.argv.slice(1)]))";
      const spec = node('args-1', program, { env: { GREETING: "wie geht's $USER" } });
      await bench.backend.submit({ ...spec, command: [...spec.command, '--', ...words] }, signal);
      expect(await ended('args-1')).toMatchObject({ status: 'succeeded', cause: null });
      expect(JSON.parse(read('out.json'))).toEqual([folder, "wie geht's $USER", words]);
    });

    it('give the log as it grows, each part once', async () => {
      const program =
        "console.log('one'); setInterval(() => { if (require('node:fs').existsSync('go')) { console.error('two'); process.exit() } }, 20)";
      await bench.backend.submit(node('log-1', program), signal);
      let [text, after] = ['', 0];
      const more = async () => {
        const part = await bench.backend.logs('log-1', after, signal);
        text += part.text;
        after = part.next;
      };
      await until(async () => {
        await more();
        return ofProgram(text) === 'one\n';
      });
      writeFileSync(join(folder, 'go'), '');
      await ended('log-1');
      await more();
      expect(ofProgram(text)).toBe('one\ntwo\n');
      expect(await bench.backend.logs('log-1', after, signal)).toEqual({ text: '', next: after });
    });

    it('start once what is submitted twice, at the same time or later', async () => {
      const spec = node('once-1', "require('node:fs').appendFileSync('runs', 'x')");
      await Promise.all([bench.backend.submit(spec, signal), bench.backend.submit(spec, signal)]);
      await ended('once-1');
      await bench.backend.submit(spec, signal);
      expect(await ended('once-1')).toMatchObject({ status: 'succeeded' });
      expect(read('runs')).toBe('x');
    });

    it('tell a program that failed from one that was killed', async () => {
      await bench.backend.submit(node('fails-1', 'process.exit(3)'), signal);
      await bench.backend.submit(node('killed-1', "process.kill(process.pid, 'SIGKILL')"), signal);
      expect(await ended('fails-1')).toMatchObject({ status: 'failed', cause: 'program' });
      expect(await ended('killed-1')).toMatchObject({ status: 'failed', cause: 'infrastructure' });
    });

    it('stop with all that they started, and stay stopped', async () => {
      await bench.backend.submit(node('stop-1', forEver), signal);
      await written('pid');
      const pid = Number(read('pid'));
      await bench.backend.stop('stop-1', signal);
      expect(await ended('stop-1')).toMatchObject({ status: 'stopped', cause: null });
      await until(() => !isAlive(pid));
      await bench.backend.stop('stop-1', signal);
      expect(await bench.backend.get('stop-1', signal)).toMatchObject({ status: 'stopped' });
    });
  });
}

/** What Ray writes before the program does ends with the program's own line. */
const ofProgram = (log: string): string => log.replace(/^(.*\n)*?Running entrypoint for job .*\n/, '');
