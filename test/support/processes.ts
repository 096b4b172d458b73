import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Processes of this machine, for tests that kill them. */

/** Whether it still runs; one that only waits to be noticed by its parent does not, where /proc tells. */
export function isAlive(pid: number): boolean {
  if (existsSync('/proc/self/stat')) return !/^[ZX]/.test(statOf(pid)?.state ?? 'X');
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Children of a process, their children, and so on (Linux). */
export function descendants(pid: number): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: statOf(Number(name))?.parent }));
  const below = (of: number): number[] =>
    all.filter(({ parent }) => parent === of).flatMap((child) => [child.pid, ...below(child.pid)]);
  return below(pid);
}

/** Field 3 and 4 of /proc/<pid>/stat, counted from behind the command's name, which may hold anything. */
function statOf(pid: number): { state: string; parent: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = 'X', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}
