import { readdirSync, readFileSync } from 'node:fs';
import type { Cpu } from './report.ts';

/** Linux counts a process's CPU in these, whatever its timer runs at (USER_HZ). */
const msPerTick = 10;

/** What the bed's processes have burnt so far: subtract two readings. */
export function readCpu(pids: { server: number | null; engine: number | null }): Cpu {
  const { user, system } = process.cpuUsage();
  return { worker: (user + system) / 1000, server: readCpuMs(pids.server), engine: readCpuMs(pids.engine) };
}

/** Resident memory of a process; null where the system does not tell. */
export function memoryBytes(pid: number | null): number | null {
  if (pid === null) return null;
  try {
    const [, kib] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB/m) ?? [];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}

export function cpuBetween(before: Cpu, after: Cpu): Cpu {
  const difference = (a: number | null, b: number | null) => (a === null || b === null ? null : b - a);
  return {
    worker: after.worker - before.worker,
    server: difference(before.server, after.server),
    engine: difference(before.engine, after.engine),
  };
}

/** The process below this one with all of these arguments; null where there is no /proc or no such process. */
export function findDescendant(args: readonly string[]): number | null {
  const parents = new Map<number, number>();
  try {
    for (const name of readdirSync('/proc')) {
      if (/^\d+$/.test(name)) parents.set(Number(name), statOf(Number(name))?.parent ?? 0);
    }
  } catch {
    return null;
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0;
    return parent === process.pid || (parent > 1 && isBelow(parent));
  };
  // The shell that guards a child has the child's arguments too; the child itself is the deeper one, without `-c`.
  const found = [...parents.keys()].filter((pid) => {
    const line = commandLine(pid);
    return line[1] !== '-c' && args.every((argument) => line.includes(argument)) && isBelow(pid);
  });
  return found[0] ?? null;
}

/** CPU that a process has used; null where the system does not tell. */
export function readCpuMs(pid: number | null): number | null {
  return pid === null ? null : (statOf(pid)?.cpuMs ?? null);
}

function statOf(pid: number): { parent: number; cpuMs: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, field 2, may hold anything, also blanks and brackets; after it come the state and the parent's id.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { parent: Number(fields[1]), cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick };
  } catch {
    return null;
  }
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
