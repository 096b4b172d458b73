import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { aboutRun, machineLine, say, writeJson } from '../record.ts';
import { layOut } from '../report.ts';
import { fairnessTable, measureFairness } from './fairness.ts';
import { measureScale } from './measure.ts';
import { growth, type ScaleReport, scaleTable } from './report.ts';

const usage = `npm run bench:scale -- [options]
  --problems A,B        sizes, each on a server and workers of its own (1000,10000)
  --workers A,B         worker processes; several: each size with each number (1)
  --shards N            parents side by side, 64 problems in flight in all (4)
  --rounds N            rounds of each problem's search (5)
  --rounds-per-activity N   (8: a problem is one activity)
  --fairness            instead: two runs on one server's queues, with and without its fairness
  --json FILE           also writes the figures as JSON (schema astroflow.bench-scale/1)
  --quick               tiny sizes: shows that it works, not how it scales`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      problems: { type: 'string' },
      workers: { type: 'string', default: '1' },
      shards: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '5' },
      'rounds-per-activity': { type: 'string', default: '8' },
      fairness: { type: 'boolean', default: false },
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const { quick } = values;
  const sizes = numbers('problems', values.problems ?? (quick ? '20,40' : '1000,10000'));
  const workers = numbers('workers', values.workers);
  const [shards = 1] = numbers('shards', values.shards);
  const [rounds = 1] = numbers('rounds', values.rounds);
  const [roundsPerActivity = 1] = numbers('rounds-per-activity', values['rounds-per-activity']);

  const folder = mkdtempSync(join(tmpdir(), 'astroflow-scale-'));
  const about = await aboutRun(quick);
  const record = (content: unknown) => {
    if (values.json !== undefined) writeJson(values.json, content);
  };
  try {
    if (values.fairness) {
      const results = await measureFairness(folder, { say });
      console.log(`\n${layOut(fairnessTable(results))}\n`);
      record({ schema: 'astroflow.bench-fairness/1', ...about, results });
    } else {
      const report: ScaleReport = { schema: 'astroflow.bench-scale/1', ...about, results: [] };
      for (const problems of sizes) {
        for (const count of workers) {
          say(`${problems} problems, ${count} worker process(es)`);
          const own = join(folder, `${problems}-${count}`);
          const options = { folder: own, problems, workers: count, shards, rounds, roundsPerActivity };
          report.results.push(await measureScale(options));
          rmSync(own, { recursive: true, force: true });
        }
      }
      console.log(`\n${layOut(scaleTable(report.results))}\n`);
      const [small, large] = [report.results[0], report.results.at(-1)];
      if (small && large && large.problems > small.problems) console.log(`${layOut(growth(small, large))}\n`);
      record(report);
    }
  } catch (error) {
    console.error(`Logs are in ${folder}`);
    throw error;
  }
  rmSync(folder, { recursive: true, force: true });
  console.log(machineLine(about));
}

function numbers(name: string, text: string): number[] {
  return text.split(',').map((part) => {
    const value = Number(part);
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`--${name} takes whole numbers from 1; not "${part}"`);
    return value;
  });
}

await main().catch((error) => {
  console.error(error instanceof RangeError ? error.message : error);
  process.exitCode = 1;
});
