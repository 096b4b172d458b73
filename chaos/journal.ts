import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One served call, as the model service noted it. */
export interface Served {
  call: string;
  attempt: number;
  completionTokens: number;
}

/** The engine's own name for it, below its data folder. */
export const journalFile = (folder: string) => join(folder, 'usage.jsonl');

/** Everything that was served; a last line cut short by a kill counts as not served, as the engine sees it. */
export function readJournal(folder: string): Served[] {
  const file = journalFile(folder);
  if (!existsSync(file)) return [];
  const content = readFileSync(file, 'utf8');
  return content
    .slice(0, content.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const row = JSON.parse(line) as { call: string; attempt: number; completion_tokens: number };
      return { call: row.call, attempt: row.attempt, completionTokens: row.completion_tokens };
    });
}
