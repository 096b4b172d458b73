import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isRunning, startOf } from './lock.ts';

/** What a running `demo` or `up` tells the other commands. */
export interface ServerFile {
  address: string;
  uiUrl: string;
  engineUrl?: string;
  pid: number;
  /** See `startOf`. */
  start: string;
}

export function writeServerFile(file: string, server: Omit<ServerFile, 'pid' | 'start'>): () => void {
  const content: ServerFile = { ...server, pid: process.pid, start: startOf(process.pid) };
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
  return () => rmSync(file, { force: true });
}

/** Null when nothing runs here. */
export function readServerFile(file: string): ServerFile | null {
  try {
    const server = JSON.parse(readFileSync(file, 'utf8')) as ServerFile;
    return isRunning(server) ? server : null;
  } catch {
    return null;
  }
}
