import { readFile } from 'node:fs/promises';

/** What ran: part of every summary. */
export async function versions(): Promise<Record<string, string>> {
  const own = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
    dependencies: Record<string, string>;
  };
  return {
    astroflow: own.version,
    temporal: own.dependencies['@temporalio/worker'] ?? 'unknown',
    openai: own.dependencies.openai ?? 'unknown',
    node: process.versions.node,
  };
}
