import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, lastLines } from '../src/cli/processes.ts';

/** One of the processes, at the same address and with the same data however often it is killed. */
export interface Part {
  /** Resolves when it is ready, or for a worker when it runs. */
  start(): Promise<void>;
  /** `kill -9`; nobody is told. Resolves when it is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** How often it has ended by itself. */
  ownEnds(): number;
}

/** A part that keeps ending by itself will not get better. */
const mostOwnEnds = 10;
const restartAfterMs = 500;

/**
 * Runs what `launch` starts, and again when it ends without being killed, as a supervisor would; `broken` is told when
 * that does not help.
 */
export function createPart(launch: () => Promise<Child>, broken: (error: Error) => void): Part {
  let child: Child | null = null;
  let wanted = false;
  let ends = 0;
  // One thing at a time: a kill waits for a start that is under way.
  let last: Promise<void> = Promise.resolve();
  const inTurn = (task: () => Promise<void>) => {
    last = last.catch(() => {}).then(task);
    return last;
  };

  async function launchOnce(): Promise<void> {
    if (!wanted || (child !== null && !child.hasExited())) return;
    const started = await launch();
    child = started;
    void started.exited.then(async () => {
      if (!wanted || child !== started) return;
      ends += 1;
      if (ends > mostOwnEnds) return broken(new Error(`${started.name} keeps ending:\n${lastLines(started.logFile)}`));
      await sleep(restartAfterMs);
      await inTurn(launchOnce).catch(broken);
    });
  }

  return {
    start() {
      wanted = true;
      return inTurn(launchOnce);
    },
    kill: () =>
      inTurn(async () => {
        wanted = false;
        await child?.kill();
      }),
    stop: () => {
      wanted = false;
      return inTurn(async () => child?.stop());
    },
    ownEnds: () => ends,
  };
}
