import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ServiceError } from '../services/errors.ts';
import { CorruptArtifact, NewerArtifact } from '../services/store/store.ts';
import { CliError } from './errors.ts';
import { homeFrom } from './home.ts';

/** Runs a command line and gives its exit code; 2 for a wrong command line. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    // Commander has printed its own message: help and version end with 0, wrong arguments with 1.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    // What a store or service tells says what to do, like our own messages.
    const isForPeople = [CliError, ServiceError, CorruptArtifact, NewerArtifact].some((kind) => error instanceof kind);
    if (isForPeople) console.error((error as Error).message);
    else console.error(error);
    return 1;
  }
}

/** Commands load what they need when they run, so that a wrong argument is answered at once. */
function createProgram(finish: (exitCode: number) => void): Command {
  const { env } = process;
  const home = homeFrom(env, process.cwd());
  const program = new Command('astroflow')
    .description('Teaches a language model to search in its own output (ASTRO), as durable Temporal workflows.')
    .version((JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Package).version)
    .showSuggestionAfterError()
    .showHelpAfterError('Run `astroflow --help` for what there is.')
    .exitOverride();

  program
    .command('demo')
    .description('the whole pipeline on this machine; run it again to continue')
    .option('--config <file>', 'run configuration (default: configs/demo.json)')
    .option('--fresh', 'start over as a new run that reuses nothing; earlier artifacts stay')
    .action(async (options) => finish(await (await import('./demo.ts')).demoCommand(home, env, options)));
  program
    .command('up')
    .description('dev server, engine and worker until Ctrl-C')
    .option('--port <port>', "the server's port, if it is free (default: 7233)", port)
    .option('--ui-port <port>', "the UI's port, if it is free (default: 8233)", port)
    .option('--page-port <port>', "the live page's port (default: 8234, if it is free)", port)
    .action(async (options) => finish(await (await import('./up.ts')).upCommand(home, env, options)));
  program
    .command('worker')
    .description('a worker for any Temporal server (TEMPORAL_ADDRESS, TEMPORAL_PROFILE, …)')
    .option('--task-queue <name>', 'queue of the workflows; the activity queues carry it as prefix')
    .option('--grace <seconds>', 'how long calls in flight may take to finish after SIGTERM (default: 10)', seconds)
    .option(
      '--sample-slots <number>',
      'problems, trees and chunks that are sampled for at once (default: 64)',
      oneOrMore,
    )
    .action(async (options) => finish(await (await import('./worker.ts')).workerCommand(home, env, options)));
  program
    .command('check')
    .description('try the services of a configuration, without a run')
    .argument('<config>', 'run configuration, a JSON file')
    .option('--deep', 'also make a training model and give it back, which hosted services may charge')
    .option('--deadline <seconds>', 'most that one answer may take (default: 30)', seconds)
    .option('--json', 'for programs')
    .action(async (config, options) =>
      finish(await (await import('./check.ts')).checkCommand(home, env, config, options)),
    );
  program
    .command('start')
    .description('start a run, or find the one that is running under its name')
    .argument('<config>', 'run configuration, a JSON file')
    .option('--workflow <type>', 'astroPipeline, or a stage to run alone', 'astroPipeline')
    .option('--run <name>', 'name of the run (default: from the configuration, else the file)')
    .option('--seed <number>', "instead of the configuration's: another seed is another training", count)
    .option('--task-queue <name>', 'queue of the workflows')
    .option('--priority <1-5>', 'whose work goes first where queues are full, 1 before 2 (default: 3)', oneToFive)
    .option('--wait', 'show progress and the result')
    .action(async (config, options) =>
      finish(await (await import('./start.ts')).startCommand(home, env, config, options)),
    );
  program
    .command('status')
    .description('how far a run is: running, finished or broken off')
    .argument('<run>', 'name of the run, or a workflow id')
    .option('--json', 'for programs')
    .action(async (run, options) => finish(await (await import('./status.ts')).statusCommand(home, env, run, options)));
  program
    .command('watch')
    .description('progress of a run until it ends, then its result')
    .argument('<run>', 'name of the run, or a workflow id')
    .option('--json', 'for programs: a line of JSON at every change')
    .action(async (run, options) => finish(await (await import('./watch.ts')).watchCommand(home, env, run, options)));
  program
    .command('page')
    .description('the live page over what is stored, read-only, until Ctrl-C; `up` and `demo` serve it too')
    .option('--port <port>', 'its port (default: 8234, if it is free)', port)
    .option('--host <host>', 'where it listens; beyond loopback it needs ASTROFLOW_PAGE_TOKEN (default: 127.0.0.1)')
    .action(async (options) => finish(await (await import('./page.ts')).pageCommand(home, env, options)));
  program
    .command('codec-server')
    .description(
      'decrypts payloads for the Temporal UI and the `temporal` CLI, with ASTROFLOW_CODEC_KEYS, until Ctrl-C',
    )
    .option('--host <host>', 'where it listens; beyond loopback it needs ASTROFLOW_CODEC_TOKEN (default: 127.0.0.1)')
    .option('--port <port>', 'its port (default: 8081)', port)
    .option(
      '--origin <origin>',
      "the UI's, as a browser says it; may be repeated (default: the dev server's)",
      list,
      [],
    )
    .action(async (options) =>
      finish(await (await import('./codec-server.ts')).codecServerCommand(home, env, options)),
    );
  program
    .command('codec-key')
    .description('a new key for ASTROFLOW_CODEC_KEYS: put it first, and keep the others for what they encrypted')
    .argument('[id]', 'name of the key, kept beside what it encrypts (default: the date)')
    .action(async (id) => finish((await import('./codec-server.ts')).codecKeyCommand(id)));
  program
    .command('list')
    .description('the runs of the server, and those that are only stored: state, stage, start, what asks')
    .option('--json', 'for programs')
    .action(async (options) => finish(await (await import('./list.ts')).listCommand(home, env, options)));
  program
    .command('tree')
    .description("a problem's search tree, best path marked; also of a search that runs or has broken off")
    .argument('<run>', 'name of the run')
    .argument('[problem]', 'id, slug, row from 0, or words of it; nothing: list the problems')
    .option('--at <round>', 'as it was after so many rounds', count)
    .option('--depth <steps>', 'show this many levels (default: all)', count)
    .option('--width <children>', 'show this many children of a node, the most visited (default: 6)', count)
    .option('--json', 'for programs: the whole tree')
    .action(async (run, problem, options) =>
      finish(await (await import('./tree.ts')).treeCommand(home, run, problem, options)),
    );
  program
    .command('trace')
    .description('a training row: its text with the moves marked, and the nodes that they come from')
    .argument('<run>', 'name of the run')
    .argument('<row>', "row of the arm's data set, from 0", count)
    .option('--arm <arm>', 'search or direct', 'search')
    .option('--json', 'for programs')
    .action(async (run, row, options) =>
      finish(await (await import('./trace.ts')).traceCommand(home, run, row, options)),
    );
  program
    .command('compare')
    .description('two runs, paired by problem: differences with intervals, p-values and what could have been seen')
    .argument('<runs...>', 'names of two runs; with --seeds, of runs that differ in their seed')
    .option(
      '--checkpoint <names>',
      'NAME in both, or NAME:NAME; may be repeated (default: all that both have)',
      list,
      [],
    )
    .option('--seeds', 'the spread between runs of different training seeds instead')
    .option('--resamples <count>', 'of the bootstrap', atLeast100, 2000)
    .option('--json', 'for programs')
    .action(async (runs, options) => finish(await (await import('./compare.ts')).compareCommand(home, runs, options)));
  program
    .command('diff')
    .description('what differs between two runs: configuration, stages they share, versions, results')
    .argument('<from>', 'name of a run')
    .argument('<to>', 'name of another run')
    .option('--json', 'for programs')
    .action(async (from, to, options) =>
      finish(await (await import('./diff.ts')).diffCommand(home, [from, to], options)),
    );
  program
    .command('explain')
    .description('from one evaluated answer back: checkpoint, RL groups and training rows like it, trees, calls')
    .argument('<run>', 'name of the run')
    .argument('<item>', 'benchmark/problem[/sample][@checkpoint]; the problem by id, slug, row or words')
    .option('--limit <count>', 'show this many groups, rows and trees', count, 3)
    .option('--json', 'for programs')
    .action(async (run, item, options) =>
      finish(await (await import('./explain.ts')).explainCommand(home, env, run, item, options)),
    );
  program
    .command('report')
    .description('make report.html of a finished run again, and print where it is')
    .argument('<run>', 'name of the run')
    .option('--out <file>', 'write it there instead of beside the run')
    .action(async (run, options) => finish(await (await import('./report.ts')).reportCommand(home, run, options)));
  program
    .command('ledger')
    .description("what a run's model calls cost: credited, wasted, and whether the books are right; 1 if not")
    .argument('<run>', 'name of the run')
    .option('--problems', 'also by tree, iteration and chunk')
    .option('--json', 'for programs')
    .action(async (run, options) => finish(await (await import('./ledger.ts')).ledgerCommand(home, env, run, options)));
  program
    .command('export')
    .description('what a run made, for other tools: its rows, its models, its curves; says what is not there yet')
    .argument('<run>', 'name of the run, finished or not')
    .option(
      '--out <folder>',
      'where to; an export of this run that is there is brought up to date (default: exports/RUN in the home folder)',
    )
    .option('--rows', 'SFT rows, RL prompts and rollouts as JSON Lines and Parquet (with --model: the default)')
    .option('--model', "each arm's newest checkpoint as a folder that transformers loads, or peft if it is an adapter")
    .addOption(new Option('--metrics <tracker...>', 'curves and scores').choices(['tensorboard', 'wandb', 'mlflow']))
    .addOption(new Option('--arm <arm...>', 'of these arms only').choices(['search', 'direct']))
    .option('--checkpoint <name>', 'instead of the newest: search-sft, direct-rl, search-rl-iter-9, …')
    .option('--merge', 'merge an adapter into its base; needs a Python with peft')
    .option('--base <model>', "an adapter's base: a folder or a hub's name (default: as configured)")
    .option('--python <path>', 'a Python for --merge (peft) and for --metrics wandb (default: .venv/bin/python)')
    .option('--mlflow <url>', 'MLflow server (default: MLFLOW_TRACKING_URI)')
    .option('--project <name>', "wandb's project and MLflow's experiment", 'astroflow')
    .action(async (run, options) => finish(await (await import('./export.ts')).exportCommand(home, env, run, options)));
  program
    .command('pause')
    .description('begin nothing new in a run; what is under way finishes')
    .argument('<run>', 'name of the run, or a workflow id')
    .action(async (run) => finish(await (await import('./steer.ts')).pauseCommand(home, env, run)));
  program
    .command('resume')
    .description('go on with a paused run')
    .argument('<run>', 'name of the run, or a workflow id')
    .action(async (run) => finish(await (await import('./steer.ts')).resumeCommand(home, env, run)));
  program
    .command('resolve')
    .description('answer a run that needs attention: retry the failed step, skip it, or abort the run')
    .argument('<run>', 'name of the run, or a workflow id')
    .argument('<action>', 'retry, skip or abort')
    .action(async (run, action) => finish(await (await import('./steer.ts')).resolveCommand(home, env, run, action)));
  program
    .command('grade')
    .description('check maths answers: JSON Lines with "gold" and "prediction" or "response" in, verdicts out')
    .argument('[file]', 'JSON Lines file; "-" or nothing for standard input')
    .option('--strict', 'as for rewards: no approximations, nothing left to be worked out')
    .action(async (file, options) => finish(await (await import('./grade.ts')).gradeCommand(file, options)));
  program
    .command('reward')
    .description('rewards for other trainers\' RL: JSON Lines with "problem" and "response" in, a reward for each out')
    .requiredOption('--task <json>', "the task section of the run's configuration")
    .action(async (options) => finish(await (await import('./reward.ts')).rewardCommand(options)));
  return program;
}

interface Package {
  version: string;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0) || value > 3600) throw new InvalidArgumentError('write a number of seconds, at most 3600.');
  return value;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('write a whole number, 0 or more.');
  return value;
}

function oneOrMore(text: string): number {
  const value = count(text);
  if (value < 1) throw new InvalidArgumentError('write 1 or more.');
  return value;
}

function oneToFive(text: string): number {
  const value = count(text);
  if (value < 1 || value > 5) throw new InvalidArgumentError('write 1 to 5.');
  return value;
}

function atLeast100(text: string): number {
  const value = count(text);
  if (value < 100) throw new InvalidArgumentError('write 100 or more.');
  return value;
}

const list = (text: string, before: string[]): string[] => [...before, text];

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65535)
    throw new InvalidArgumentError('a port is a whole number from 1 to 65535.');
  return value;
}
