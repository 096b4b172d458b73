import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { versions } from '../src/versions.ts';

/** What figures were measured on, and by what. */
export async function aboutRun(quick: boolean) {
  return {
    startedAt: new Date().toISOString(),
    quick,
    machine: {
      platform: `${process.platform} ${process.arch}`,
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
    },
    versions: await versions(),
  };
}

/** The same for people, in a line. */
export function machineLine({
  machine,
  quick,
}: Pick<Awaited<ReturnType<typeof aboutRun>>, 'machine' | 'quick'>): string {
  const { cores, cpu, memoryGiB, platform } = machine;
  return `${cores} cores (${cpu}), ${memoryGiB} GiB, ${platform}${quick ? '; quick: not for the record' : ''}`;
}

/** What is measured now, beside the figures. */
export function say(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)}  ${text}`);
}

export function writeJson(file: string, report: unknown): void {
  const path = resolve(file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`Written to ${path}`);
}
