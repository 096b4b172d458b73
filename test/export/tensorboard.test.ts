import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeTensorboard } from '../../src/export/tensorboard.ts';
import { crc32c, tfRecord } from '../../src/export/tfrecord.ts';

it("records carry CRC-32C as TensorFlow's do", () => {
  // RFC 3720, B.4: the check value, and 32 zeros.
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  const record = tfRecord(Buffer.from('abc'));
  expect(record.readBigUInt64LE()).toBe(3n);
  expect(record.subarray(12, 15).toString()).toBe('abc');
  expect(record).toHaveLength(8 + 4 + 3 + 4);
});

it("an arm's events are one file, in the order of their steps", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'astroflow-tb-'));
  const point = (step: number) => ({ step, value: step - 1, timeMs: 1_700_000_000_000 });
  const series = { 'rl/reward': [point(1), point(2)], 'sft/loss': [point(1)] };
  const arm = { arm: 'search' as const, params: {}, key: 'k', finished: true, series };
  await writeTensorboard({ run: 'demo', arms: [arm], missing: [] }, folder);
  const file = await readFile(join(folder, 'search', 'events.out.tfevents.astroflow'));
  await rm(folder, { recursive: true });
  const texts: string[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    texts.push(file.subarray(at + 12, at + 12 + length).toString('latin1'));
    at += 16 + length;
  }
  expect(texts.map((text) => /brain.Event:2|rl\/reward|sft\/loss/.exec(text)?.[0])).toEqual([
    'brain.Event:2',
    'rl/reward',
    'sft/loss',
    'rl/reward',
  ]);
  // Field 2, four bytes: readers drop a value that is left out for being zero.
  expect(texts[1]).toContain('\x15\0\0\0\0');
});
