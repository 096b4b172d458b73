import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBed } from './bed.ts';
import { measureDecode } from './decode.ts';
import { measureOrchestration } from './orchestration.ts';
import { aboutRun, machineLine, say, writeJson } from './record.ts';
import { measureReplay } from './replay.ts';
import { type BenchReport, figures, layOut } from './report.ts';
import { measureSearch } from './search.ts';
import { measureVerify } from './verify.ts';

/** Sizes of a run for the record, and of one that only shows that everything works. */
const sizes = {
  full: { rounds: 3, sequences: 192, tokensPerSequence: 200, searched: 150, scripted: 200 },
  quick: { rounds: 1, sequences: 64, tokensPerSequence: 24, searched: 6, scripted: 8 },
};

const parts = ['verify', 'decode', 'search', 'orchestration', 'replay'] as const;
type Part = (typeof parts)[number];

const usage = `npm run bench -- [options]
  --json FILE       also writes the figures as JSON (schema astroflow.bench/1)
  --quick           tiny sizes: shows that everything works, not how fast it is
  --only A,B        some of ${parts.join(', ')}
  --problems N      problems searched through the pipeline (${sizes.full.searched})
  --rounds N        repetitions of the figures that are ratios (${sizes.full.rounds})
  --threads N       threads of torch, in the engine and in transformers (2)
  --model DIR       another model than engine/base/model`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      problems: { type: 'string' },
      rounds: { type: 'string' },
      threads: { type: 'string', default: '2' },
      model: { type: 'string', default: 'engine/base/model' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const size = values.quick ? sizes.quick : sizes.full;
  const wanted = partsOf(values.only);
  const model = values.model;
  const threads = positive('threads', values.threads);
  const rounds = positive('rounds', values.rounds ?? `${size.rounds}`);
  const problems = positive('problems', values.problems ?? `${size.searched}`);

  const folder = mkdtempSync(join(tmpdir(), 'astroflow-bench-'));
  const report: BenchReport = {
    schema: 'astroflow.bench/1',
    ...(await aboutRun(values.quick)),
  };
  try {
    if (wanted.has('verify')) {
      say('verify: the labelled cases of the answer checker');
      report.verify = measureVerify(rounds);
    }
    if (wanted.has('decode')) {
      say(`decode: ${size.sequences} sequences, the engine and transformers.generate in turn`);
      const { sequences, tokensPerSequence } = size;
      report.decode = await measureDecode({ folder, model, threads, sequences, tokensPerSequence, rounds });
    }
    if (['search', 'orchestration', 'replay'].some((part) => wanted.has(part as Part))) await onBed();
  } catch (error) {
    console.error(`Logs are in ${folder}`);
    throw error;
  }
  rmSync(folder, { recursive: true, force: true });

  console.log(`\n${layOut(figures(report))}\n`);
  console.log(machineLine(report));
  if (values.json !== undefined) writeJson(values.json, report);

  async function onBed(): Promise<void> {
    const bed = await openBed({ folder, model, threads });
    try {
      if (wanted.has('search')) {
        say(`search: ${problems} problems through the pipeline and raw, in turn`);
        report.search = await measureSearch(bed, { problems, rounds, model });
      }
      if (wanted.has('orchestration') || wanted.has('replay')) {
        say(`orchestration: ${size.scripted} scripted problems`);
        const { result, histories } = await measureOrchestration(bed, { problems: size.scripted, model });
        if (wanted.has('orchestration')) report.orchestration = result;
        if (wanted.has('replay')) {
          say(`replay: ${histories.length} histories`);
          report.replay = await measureReplay(bed.workflowBundle, histories);
        }
      }
    } finally {
      await bed.close();
    }
  }
}

function partsOf(only: string | undefined): Set<Part> {
  const names = only === undefined ? parts : only.split(',').map((name) => name.trim());
  return new Set(
    names.map((name) => {
      if (!(parts as readonly string[]).includes(name))
        throw new RangeError(`--only knows ${parts.join(', ')}; not "${name}"`);
      return name as Part;
    }),
  );
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} is a whole number from 1; not "${text}"`);
  return value;
}

await main().catch((error) => {
  console.error(error instanceof RangeError ? error.message : error);
  process.exitCode = 1;
});
