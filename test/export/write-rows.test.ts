import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RowOf } from '../../src/export/columns.ts';
import { messages } from '../../src/export/messages.ts';
import { writeRows } from '../../src/export/write-rows.ts';

const columns = {
  messages,
  seed: 'uint32',
  ids: { list: 'int32' },
  logprobs: { list: 'double' },
  verdict: { struct: { correct: { nullable: 'boolean' }, answer: { nullable: 'string' } } },
  done: 'boolean',
} as const;
type Row = RowOf<typeof columns>;

const { signal } = new AbortController();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'astroflow-rows-'));
});
afterAll(() => rm(folder, { recursive: true }));

const text = fc.string({ unit: 'grapheme' });
const anyRow: fc.Arbitrary<Row> = fc.record({
  messages: fc.array(fc.record({ role: text, content: text })),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  ids: fc.array(fc.integer()),
  logprobs: fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0)),
  verdict: fc.record({ correct: fc.option(fc.boolean()), answer: fc.option(text) }),
  done: fc.boolean(),
});

const stream = async function* <T>(rows: Iterable<T>) {
  yield* rows;
};

async function readBack(base: string): Promise<{ lines: unknown[]; rows: unknown[] }> {
  const jsonl = await readFile(`${base}.jsonl`, 'utf8');
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(`${base}.parquet`) });
  return {
    lines: jsonl
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line)),
    rows,
  };
}

describe('exported rows', () => {
  it('are the same in Parquet as in JSON Lines, nested lists and nulls and none at all included', async () => {
    const base = join(folder, 'any');
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow), async (rows) => {
        const written = await writeRows(base, columns, stream(rows), signal);
        const plain = JSON.parse(JSON.stringify(rows));
        expect(written.rows).toBe(rows.length);
        expect(await readBack(base)).toEqual({ lines: plain, rows: plain });
      }),
      { numRuns: 50 },
    );
  });

  it('are written group by group, so that one group is all that memory must hold', async () => {
    const base = join(folder, 'many');
    let asked = 0;
    const many = async function* (): AsyncGenerator<Row> {
      for (; asked < 25_000; asked++)
        yield {
          messages: [],
          seed: asked,
          ids: [asked],
          logprobs: [],
          verdict: { correct: null, answer: null },
          done: true,
        };
    };
    await writeRows(base, columns, many(), signal);
    const { row_groups } = await parquetMetadataAsync(await asyncBufferFromFile(`${base}.parquet`));
    expect(row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([10_000, 10_000, 5_000]);
    const { rows } = await readBack(base);
    expect((rows as Row[]).map(({ seed }) => seed)).toEqual(Array.from({ length: 25_000 }, (_, index) => index));
  });

  it('that fail on the way are an error, not a short file that looks whole', async () => {
    const broken = async function* (): AsyncGenerator<Row> {
      yield { messages: [], seed: 0, ids: [], logprobs: [], verdict: { correct: null, answer: null }, done: true };
      throw new Error('the artifact is damaged');
    };
    await expect(writeRows(join(folder, 'broken'), columns, broken(), signal)).rejects.toThrow('damaged');
    const stopped = AbortSignal.abort(new Error('Ctrl-C'));
    await expect(writeRows(join(folder, 'stopped'), columns, broken(), stopped)).rejects.toThrow('Ctrl-C');
    await expect(writeRows(join(folder, 'no', 'folder'), columns, stream([]), signal)).rejects.toThrow('ENOENT');
  });
});
