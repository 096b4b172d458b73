import type { Task } from '../task.ts';
import { countdown } from './countdown.ts';

const tasks: readonly Task[] = [countdown];

/** @throws RangeError that lists the known tasks. */
export function getTask(name: string): Task {
  const task = tasks.find((known) => known.name === name);
  if (task === undefined) {
    throw new RangeError(`There is no task "${name}". Known tasks: ${tasks.map((known) => known.name).join(', ')}.`);
  }
  return task;
}
