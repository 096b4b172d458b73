import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TrainedByJob } from '../activities/job-training.ts';
import type { Measured } from './arm-curves.ts';

/**
 * What a training job logged, by its trainer's own names: step by step from the log beside its model, where this machine
 * sees that; else the last numbers, which the run has stored.
 */
export async function jobCurves({ checkpoint, globalStep, metrics }: TrainedByJob): Promise<Measured[]> {
  const model = checkpoint.trainerState;
  const log = model && (await readFile(join(dirname(model), 'astroflow-log.jsonl'), 'utf8').catch(() => null));
  const logged = log ? inLog(log) : [];
  return logged.length > 0 ? logged : numbersIn(metrics, globalStep);
}

function inLog(text: string): Measured[] {
  // A job that was interrupted does some steps again: what it said last counts.
  const steps = new Map<number, Record<string, unknown>>();
  for (const line of text.split('\n')) {
    const event = parsed(line);
    if (event?.event !== 'step' || typeof event.step !== 'number') continue;
    steps.set(event.step, { ...steps.get(event.step), ...event });
  }
  return [...steps]
    .sort(([a], [b]) => a - b)
    .flatMap(([step, { step: _, total: __, ...numbers }]) => numbersIn(numbers, step));
}

const numbersIn = (numbers: Record<string, unknown>, step: number): Measured[] =>
  Object.entries(numbers).flatMap(([name, value]) => (typeof value === 'number' ? [{ name, step, value }] : []));

/** A last line that was cut short is not JSON. */
function parsed(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
