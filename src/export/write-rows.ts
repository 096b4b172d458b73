import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { type Columns, parquetSchema, type RowOf } from './columns.ts';

/** A row group of Parquet ends at whichever comes first; its rows are what is held in memory. */
const GROUP_BYTES = 32 * 1024 * 1024;
const GROUP_ROWS = 10_000;

export interface WrittenFile {
  name: string;
  bytes: number;
}

export interface WrittenRows {
  rows: number;
  files: WrittenFile[];
}

/** Writes rows once through, however many: as `BASE.jsonl` and, the same rows, as `BASE.parquet`. */
export async function writeRows<Of extends Columns>(
  base: string,
  columns: Of,
  rows: AsyncIterable<RowOf<Of>>,
  signal: AbortSignal,
): Promise<WrittenRows> {
  const [jsonl, parquet] = [`${base}.jsonl`, `${base}.parquet`];
  const lines = createWriteStream(jsonl);
  const written = finished(lines);
  // Awaited below; a full disk must not end the process before that.
  written.catch(() => {});
  const groups = rowGroups(parquet, columns);
  let count = 0;
  try {
    for await (const row of rows) {
      signal.throwIfAborted();
      const line = `${JSON.stringify(row)}\n`;
      if (!lines.write(line)) await Promise.race([once(lines, 'drain'), written]);
      groups.append(row, line.length);
      count += 1;
    }
    groups.finish();
  } finally {
    lines.end();
    await written;
  }
  const files = [jsonl, parquet].map(async (path) => ({ name: basename(path), bytes: (await stat(path)).size }));
  return { rows: count, files: await Promise.all(files) };
}

function rowGroups<Of extends Columns>(file: string, columns: Of) {
  const names = Object.keys(columns);
  const parquet = new ParquetWriter({
    writer: fileWriter(file),
    schema: parquetSchema(columns),
    createdBy: 'astroflow',
    // Least and greatest of texts and token ids say nothing about rows.
    statistics: false,
  });
  let group: RowOf<Of>[] = [];
  let bytes = 0;
  const flush = () => {
    if (group.length === 0) return;
    const columnData = names.map((name) => ({ name, data: group.map((row) => row[name]) }));
    parquet.write({ columnData, rowGroupSize: group.length });
    [group, bytes] = [[], 0];
  };
  return {
    append(row: RowOf<Of>, size: number): void {
      group.push(row);
      bytes += size;
      if (bytes >= GROUP_BYTES || group.length >= GROUP_ROWS) flush();
    },
    finish(): void {
      flush();
      parquet.finish();
    },
  };
}
