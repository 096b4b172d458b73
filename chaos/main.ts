import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onInterrupt } from '../src/cli/interrupt.ts';
import { deriveSeed } from '../src/core/seed.ts';
import { bundleWorkflows } from '../src/workers/bundle.ts';
import type { BedKind } from './bed.ts';
import { engineRun, scriptedRun, shortRun } from './configs.ts';
import { judge } from './judge.ts';
import { type Lap, runLap } from './lap.ts';
import { type S3Server, startS3Server } from './s3-server.ts';

const usage = `npm run chaos -- [options]
  --kills N     processes killed in all (20)
  --seed N      draws who is killed and when (1)
  --store KIND  where artifacts are: folder, or s3 (a server is started) (folder)
  --engine      the bundled engine instead of scripted services
  --short       a small run: shows that everything works
  --latency MS  most that a scripted call takes (400)
  --keep        leaves the folder with stores and logs`;

/** More kills than this are spread over several runs, each with a salt of its own. */
const mostKillsPerLap = 30;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: 'folder' },
      engine: { type: 'boolean', default: false },
      short: { type: 'boolean', default: false },
      latency: { type: 'string', default: '400' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const kills = whole('kills', values.kills, 1);
  const seed = whole('seed', values.seed, 0);
  const latencyMs = whole('latency', values.latency, 0);
  if (!['folder', 's3'].includes(values.store)) throw new RangeError(`--store is folder or s3; not "${values.store}"`);
  const folder = mkdtempSync(join(tmpdir(), 'astroflow-chaos-'));
  const interrupt = onInterrupt(() => console.error('Stopping (Ctrl-C again: at once) …'));
  const startedAt = Date.now();
  const laps: Lap[] = [];
  let keep = values.keep;
  let s3: S3Server | undefined;
  try {
    if (values.store === 's3') {
      s3 = await startS3Server(join(folder, 's3'));
      // For the workers, and for our own look at what they stored.
      Object.assign(process.env, s3.env);
    }
    const beds = values.engine
      ? { reference: engineBed, disturbed: engineBed }
      : await scriptedBeds(join(folder, 'workflows.js'), latencyMs);
    // The undisturbed run keeps its folder: both kinds of store must end with the same artifacts.
    if (s3) beds.disturbed = { ...beds.disturbed, s3 };
    const config = values.engine ? engineRun : values.short ? shortRun : scriptedRun;
    for (let left = kills; left > 0; left = kills - laps.reduce((sum, lap) => sum + lap.kills.length, 0)) {
      const salt = `chaos-${laps.length}`;
      laps.push(
        await runLap({
          folder: join(folder, salt),
          config: { ...config, salt },
          seed: deriveSeed(seed, laps.length),
          kills: Math.min(left, mostKillsPerLap),
          beds,
          say: (text) => console.error(text),
          signal: interrupt.signal,
        }),
      );
    }
    const report = judge(laps, { engine: values.engine, latencyMs });
    console.log(JSON.stringify({ ...report, seed, wallSeconds: Math.round((Date.now() - startedAt) / 1000) }, null, 2));
    keep ||= report.differences.length > 0;
    return report.differences.length > 0 ? 1 : 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    keep = true;
    throw error;
  } finally {
    interrupt.dispose();
    await s3?.child.stop();
    if (keep) console.error(`Stores and logs are in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

const engineBed: BedKind = { kind: 'engine' };

/** The undisturbed run need not wait for its services: what they answer does not depend on how long they take. */
async function scriptedBeds(bundle: string, latencyMs: number): Promise<{ reference: BedKind; disturbed: BedKind }> {
  const { code } = await bundleWorkflows();
  writeFileSync(bundle, code);
  return {
    reference: { kind: 'scripted', bundle, latencyMs: 0 },
    disturbed: { kind: 'scripted', bundle, latencyMs },
  };
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new RangeError(`--${name} is a whole number from ${least}; not "${text}"`);
  return value;
}

process.exitCode = await main().catch((error) => {
  console.error(error instanceof RangeError ? error.message : error);
  return 1;
});
