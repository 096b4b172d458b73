import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Json, Problem } from '../core/problem.ts';
import { outcomeReward } from '../core/rl/reward.ts';
import type { Task } from '../core/task.ts';
import { getTask, tasks } from '../core/tasks/index.ts';
import { CliError } from './errors.ts';

/**
 * `astroflow reward --task JSON`: the reward of RL as a coprocess of other trainers. JSON Lines in, `{ problem,
 * response, truncated? }`, where `problem` is what a prompt row holds; for each line one line out, in order and at
 * once: `{ reward, correct, answer, reason }`, or `{ error }` for a line that cannot be graded. Ends with its input.
 */
export async function rewardCommand(options: { task: string }): Promise<number> {
  await rewardStream(taskFrom(options.task), process.stdin, process.stdout);
  return 0;
}

/** The task that a configuration's `task` section describes, as JSON. @throws CliError */
export function taskFrom(text: string): Task {
  let section: unknown;
  try {
    section = JSON.parse(text);
  } catch (error) {
    throw new CliError(`--task is not JSON (${(error as Error).message}): write a task section, {"name":"countdown"}.`);
  }
  const name = (section as { name?: unknown } | null)?.name;
  const definition = tasks.find((task) => task.name === name);
  if (definition === undefined) {
    const known = tasks.map((task) => task.name).join(', ');
    throw new CliError(`--task names no task that there is (${JSON.stringify(name)}). Known tasks: ${known}.`);
  }
  const parsed = definition.options.safeParse(section);
  if (parsed.success) return getTask(parsed.data);
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CliError(`--task is not a section of the task "${definition.name}": ${problems.join('; ')}`);
}

/** One answer for each line, even a bad one: who asks counts lines. Ends early when nobody reads the answers. */
export async function rewardStream(task: Task, input: Readable, output: Writable): Promise<void> {
  const gone = new AbortController();
  output.on('error', () => gone.abort());
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (gone.signal.aborted) return;
    if (output.write(`${JSON.stringify(answerTo(task, line))}\n`)) continue;
    await once(output, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
}

function answerTo(task: Task, line: string): Json {
  let row: { problem?: unknown; response?: unknown; truncated?: unknown } | null;
  try {
    row = JSON.parse(line);
  } catch (error) {
    return { error: `not JSON: ${(error as Error).message}` };
  }
  const problem = row?.problem;
  if (!isProblem(problem)) return { error: '"problem" must be a prompt row\'s problem, { "id", "data" }' };
  if (typeof row?.response !== 'string') return { error: '"response" must be the text that the model wrote' };
  try {
    const verdict = task.verify(problem, row.response, 'reward');
    const { correct, answer = null, reason } = verdict;
    return { reward: outcomeReward(verdict, row.truncated === true), correct, answer, reason };
  } catch (error) {
    return { error: `not a problem of the task "${task.name}" (${(error as Error).message})` };
  }
}

function isProblem(value: unknown): value is Problem {
  return typeof (value as Problem | null)?.id === 'string' && (value as Problem).data !== undefined;
}
