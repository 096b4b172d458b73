import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { gradeCommand, gradeStream } from '../../src/cli/grade.ts';
import { main } from '../../src/cli/main.ts';

/** Grades lines, gives the rows that came out and what was said. */
async function grade(lines: readonly string[], strict = false) {
  const [output, messages] = [new PassThrough(), new PassThrough()];
  const texts = { output: '', messages: '' };
  output.on('data', (chunk) => {
    texts.output += chunk;
  });
  messages.on('data', (chunk) => {
    texts.messages += chunk;
  });
  const counts = await gradeStream(Readable.from(lines.map((line) => `${line}\n`)), output, messages, { strict });
  const rows = texts.output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { counts, rows, messages: texts.messages };
}

describe('astroflow grade', () => {
  it('gives every line its verdict, in order', async () => {
    const { rows, messages } = await grade([
      '{"id":1,"gold":"\\\\frac12","prediction":"0.5"}',
      '',
      '{"id":2,"gold":"5","response":"\\\\boxed{6}"}',
      '{"id":3,"gold":"\\\\frac{","prediction":"6"}',
    ]);
    expect(rows).toMatchObject([
      { id: 1, verdict: true, extracted: '0.5' },
      { id: 2, verdict: false, extracted: '6' },
      { id: 3, verdict: 'unknown' },
    ]);
    for (const row of rows) expect(row.ms).toBeGreaterThanOrEqual(0);
    expect(messages).toBe('3 graded: 1 true, 1 false, 1 unknown.\n');
  });

  it('reports a bad line by its number and goes on', async () => {
    const { counts, rows, messages } = await grade([
      '\uFEFF{"gold":"5","prediction":"5"}',
      'nonsense',
      '{"prediction":"5"}',
      '{"gold":"5","prediction":"5"}',
    ]);
    expect(rows).toHaveLength(2);
    expect(counts.bad).toBe(2);
    expect(messages).toMatch(/^line 2: is not JSON/);
    expect(messages).toContain('line 3: has no "gold"');
    expect(messages).toContain('2 graded: 2 true, 0 false, 0 unknown; 2 bad lines.');
  });

  it('extracts only, where a line says so', async () => {
    const { rows, messages } = await grade([
      '{"kind":"extract","response":"so \\\\boxed{7}"}',
      '{"kind":"extract","response":"nothing"}',
    ]);
    expect(rows.map(({ extracted }) => extracted)).toEqual(['7', null]);
    expect(messages).toContain('2 extractions, 1 without an answer');
  });

  it('is strict on demand', async () => {
    const line = '{"gold":"\\\\pi","prediction":"3.1415926536"}';
    expect((await grade([line])).rows[0].verdict).toBe(true);
    expect((await grade([line], true)).rows[0].verdict).toBe(false);
  });

  it('stops when nobody reads the output any more', async () => {
    let written = 0;
    const output = new Writable({
      highWaterMark: 1,
      write(_, __, done) {
        written += 1;
        done(written < 3 ? null : Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      },
    });
    let read = 0;
    const lines = (function* () {
      for (; read < 100_000; read++) yield '{"gold":"5","prediction":"5"}\n';
    })();
    const messages = new PassThrough();
    messages.resume();
    await gradeStream(Readable.from(lines), output, messages, {});
    expect(read).toBeLessThan(100_000);
  });
});

describe('astroflow grade FILE', () => {
  let folder = '';
  let output = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'grade-'));
    output = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      output += text;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    vi.spyOn(console, 'error').mockImplementation((text) => {
      output += text;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  it('reads a file and ends with 0, or with 1 after a bad line', async () => {
    const file = join(folder, 'answers.jsonl');
    writeFileSync(file, '{"gold":"5","prediction":"5"}\n');
    expect(await gradeCommand(file, {})).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ verdict: true });
    writeFileSync(file, '{"gold":"5","prediction":"5"}\n{\n');
    expect(await gradeCommand(file, {})).toBe(1);
  });

  it('says so when there is no such file', async () => {
    expect(await main(['node', 'astroflow', 'grade', join(folder, 'none.jsonl')])).toBe(1);
    expect(output).toContain('There is no file');
    expect(await main(['node', 'astroflow', 'grade', folder])).toBe(1);
    expect(output).toContain('is a folder');
  });
});
