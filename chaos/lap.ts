import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunConfigInput } from '../src/config/schema.ts';
import type { Ledger } from '../src/core/ledger/ledger.ts';
import { type Bed, type BedKind, openBed } from './bed.ts';
import { readLedger } from './ledger.ts';
import { run, runPipeline } from './run.ts';
import { type Kill, planKills, type Target } from './schedule.ts';
import type { Stored } from './stored.ts';

/** One configuration run twice: left alone, and with its processes killed. */
export interface Lap {
  reference: Stored;
  disturbed: Stored;
  ledgers: { reference: Ledger; disturbed: Ledger };
  /** Of the disturbed run. */
  engineData: string;
  kills: Target[];
  /** Times that a part ended without being killed. */
  ownEnds: Partial<Record<Target, number>>;
  seconds: { reference: number; disturbed: number };
}

export interface LapOptions {
  folder: string;
  config: RunConfigInput;
  seed: number;
  kills: number;
  /** Of both runs: the undisturbed one need not wait for scripted services. */
  beds: { reference: BedKind; disturbed: BedKind };
  say: (text: string) => void;
  signal: AbortSignal;
}

export async function runLap(options: LapOptions): Promise<Lap> {
  const { folder, config, beds, say, signal } = options;
  let startedAt = Date.now();
  const since = () => (Date.now() - startedAt) / 1000;

  const opening = openBed(join(folder, 'disturbed'), beds.disturbed);
  // Not waited for yet; why it could not be opened is told when it is.
  opening.catch(() => {});
  const reference = await onBed(openBed(join(folder, 'undisturbed'), beds.reference), async (bed) => {
    startedAt = Date.now();
    await runPipeline(bed, config, signal);
    const seconds = since();
    return { stored: await bed.contents.read(), seconds, ledger: await readLedger(bed.deps, run) };
  }).catch(async (error) => {
    await (await opening).stop();
    throw error;
  });
  say(`undisturbed: ${reference.stored.size} artifacts in ${reference.seconds.toFixed(1)} s`);

  return onBed(opening, async (bed) => {
    startedAt = Date.now();
    const stages = [...reference.stored.keys()].map((name) => name.split('/')[0] ?? '');
    const plan = planKills({ seed: options.seed, kills: options.kills, targets: [...bed.parts.keys()], stages });
    const ended = new AbortController();
    const [, kills] = await Promise.all([
      runPipeline(bed, config, signal).finally(() => ended.abort()),
      killAll(bed, plan, AbortSignal.any([signal, ended.signal]), (text) => say(`${since().toFixed(1)} s  ${text}`)),
    ]);
    return {
      reference: reference.stored,
      disturbed: await bed.contents.read(),
      ledgers: { reference: reference.ledger, disturbed: await readLedger(bed.deps, run) },
      engineData: bed.home.engine,
      kills,
      ownEnds: Object.fromEntries([...bed.parts].map(([target, part]) => [target, part.ownEnds()])),
      seconds: { reference: reference.seconds, disturbed: since() },
    };
  });
}

async function onBed<T>(opening: Promise<Bed>, body: (bed: Bed) => Promise<T>): Promise<T> {
  const bed = await opening;
  try {
    return await Promise.race([body(bed), bed.broken]);
  } finally {
    await bed.stop();
  }
}

/** Carries out the plan until it is done or the run has ended; gives who was killed. */
async function killAll(bed: Bed, plan: readonly Kill[], signal: AbortSignal, say: (text: string) => void) {
  const killed: Target[] = [];
  const restarts = new Map<Target, Promise<void>>();
  for (const { target, afterArtifacts, delayMs, downMs } of plan) {
    const part = bed.parts.get(target);
    let stored = 0;
    while (!signal.aborted) {
      stored = await bed.contents.count();
      if (stored >= afterArtifacts) break;
      await sleep(bed.contents.pollMs);
    }
    await restarts.get(target);
    await sleep(delayMs, undefined, { signal }).catch(() => {});
    if (part === undefined || signal.aborted) break;
    await part.kill();
    killed.push(target);
    say(`kill ${killed.length} of ${plan.length}: ${target}, after ${stored} artifacts, down for ${downMs} ms`);
    const restart = sleep(downMs).then(part.start);
    // A failure is told where the restart is waited for.
    restart.catch(() => {});
    restarts.set(target, restart);
  }
  await Promise.all(restarts.values());
  return killed;
}
