import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TaskOptions } from '../../../core/task.ts';
import { ServiceError } from '../../errors.ts';
import type { RecipeInput, TrainedModel } from './recipe.ts';

/** What recipes share: the Python files that jobs take along, the way to the verifier, the log that they leave. */

export type SftInput = Extract<RecipeInput, { stage: 'sft' }>;
export type RlInput = Extract<RecipeInput, { stage: 'rl' }>;
/** A trainer's own settings. */
export type Options = Readonly<Record<string, string | number | boolean>>;

/** Seconds for one batch of answers; the verifier takes milliseconds for most. */
const REWARD_DEADLINE_S = 300;

/** A file of `python/`, as it is in the package. */
export const pythonFile = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`./python/${name}`, import.meta.url)), 'utf8');

/** The bridge to the verifier, and where it finds it: jobs run on machines that see this installation. */
export function rewardFiles(task: TaskOptions): Record<string, string> {
  const cli = fileURLToPath(new URL('../../../../bin/astroflow.js', import.meta.url));
  const command = [process.execPath, cli, 'reward', '--task', JSON.stringify(task)];
  return {
    'astroflow_reward.py': pythonFile('astroflow_reward.py'),
    'astroflow_reward.json': `${JSON.stringify({ command, deadline_s: REWARD_DEADLINE_S })}\n`,
  };
}

export const jsonLines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

const service = 'policy.trainer.recipe';

/** @throws ServiceError (fatal) where a trainer cannot do what is asked */
export function refuse(condition: boolean, message: string): void {
  if (condition) throw new ServiceError('fatal', message, { service });
}

/** @throws ServiceError (fatal) where an iteration's answers cannot be divided evenly */
export function sequencesPerStep({ promptsPerIteration, groupSize, stepsPerIteration }: RlInput['params']): number {
  const answers = promptsPerIteration * groupSize;
  refuse(
    answers % stepsPerIteration !== 0,
    `rl: ${promptsPerIteration} prompts x ${groupSize} answers cannot be divided into ${stepsPerIteration} equal ` +
      'optimiser steps, as this trainer wants: change stepsPerIteration',
  );
  return answers / stepsPerIteration;
}

/**
 * Bounds of the ratio as distances below and above 1. Importance sampling has none: its ratio may be anything from 0.
 */
export function ratioBounds({ loss, clipLow, clipHigh }: RlInput['params']): [number, number] {
  return loss === 'ppo' ? [1 - clipLow, clipHigh - 1] : [1, 1_000_000];
}

/** For trainers that know only conversations. */
export function needsChat(trainer: string, input: RecipeInput): void {
  refuse(
    input.template !== 'chat',
    `${trainer} writes prompts by the model's chat template: set policy.template to "chat", or train with TRL`,
  );
  if (input.stage === 'rl') noAnswerBegun(trainer, input);
}

/** For trainers whose templates close every message. */
export function noAnswerBegun(trainer: string, { rows, template }: RecipeInput): void {
  refuse(
    template === 'chat' && rows.some(({ prompt }) => prompt.at(-1)?.role === 'assistant'),
    `${trainer} cannot go on with an answer that the prompt begins, as this task's prompts do: train with TRL`,
  );
}

export function noTrainOnPrompt(trainer: string, { params }: SftInput): void {
  refuse(params.trainOnPrompt, `${trainer} trains on answers only: set trainOnPrompt to false, or train with TRL`);
}

/** So many rows, in their order, from the first again behind the last. */
export const cycled = <Row>(rows: readonly Row[], count: number): Row[] =>
  Array.from({ length: count }, (_, index) => rows[index % rows.length] as Row);

/** Rows often enough that an iteration never has more prompts than there are: trainers drop an incomplete one. */
export function fillIteration<Row>(rows: readonly Row[], promptsPerIteration: number): Row[] {
  return Array.from({ length: Math.ceil(promptsPerIteration / rows.length) }, () => rows).flat();
}

/** A number without an exponent: YAML takes `1e-7` for a text. */
export function decimal(value: number): string {
  const [digits = '', exponent] = String(value).split('e-');
  if (exponent === undefined) return digits;
  return value.toFixed(Math.min(100, Number(exponent) + (digits.split('.')[1]?.length ?? 0)));
}

/** Hydra's grammar: a text with other characters than these is quoted. */
export const hydraOverrides = (settings: Options): string[] =>
  Object.entries(settings).map(([key, value]) => {
    if (typeof value !== 'string') return `${key}=${typeof value === 'number' ? decimal(value) : value}`;
    return /^[\w./:[\],-]+$/.test(value) ? `${key}=${value}` : `${key}='${value.replaceAll("'", "\\'")}'`;
  });

const LINE = /^ASTROFLOW (\{.*\})$/gm;

/** The newest step that the log's end tells of. */
export function progressIn(log: string): { done: number; total: number } | null {
  const line = [...log.matchAll(LINE)].at(-1)?.[1];
  const { step, resumed_from, total } = line === undefined ? {} : JSON.parse(line);
  const done = step ?? resumed_from;
  return typeof done === 'number' && typeof total === 'number' ? { done, total } : null;
}

/**
 * What a job's own log and model folder prove: it ended, at which step, and from where its last start went on.
 * @throws ServiceError (fatal)
 */
export async function collectFrom(folder: string, expectedStep?: number): Promise<TrainedModel> {
  const missing = (what: string) =>
    new ServiceError('fatal', `${folder}: ${what}; look at the job's log, then delete the folder to train anew`, {
      service: 'the training job',
    });
  const text = await readFile(join(folder, 'astroflow-log.jsonl'), 'utf8').catch(() => '');
  const events = text
    .split('\n')
    .flatMap(parsed)
    .filter(({ event }) => ['start', 'step', 'end'].includes(String(event)));
  const start = events.findLast(({ event }) => event === 'start');
  const end = events.at(-1);
  if (start === undefined || end?.event !== 'end') throw missing('the trainer has not said that it is done');
  const [globalStep, resumedFrom] = [Number(end.global_step), Number(start.resumed_from)];
  if (expectedStep !== undefined && globalStep !== expectedStep)
    throw missing(`the trainer stopped at step ${globalStep} of ${expectedStep}`);
  const model = join(folder, 'model');
  if (!existsSync(join(model, 'config.json'))) throw missing('there is no config.json in model/');
  return { model, globalStep, resumedFrom, metrics: metricsOf(events) };
}

/** A line that was being written when the machine went away is not JSON. */
function parsed(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

/** Of the last lines that have each number. */
function metricsOf(events: readonly Record<string, unknown>[]): Record<string, number> {
  const numbers = events
    .filter(({ event }) => event === 'step')
    .flatMap((event) => Object.entries(event))
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  const { step: _, total: __, ...metrics } = Object.fromEntries(numbers);
  return metrics;
}
