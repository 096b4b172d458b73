import type { Task, TaskDefinition, TaskOptions } from '../task.ts';
import { countdownTask } from './countdown.ts';
import { mathTask } from './math.ts';
import { sudoku4Task } from './sudoku4.ts';

/** Every task that a configuration can name. */
export const tasks = [countdownTask, mathTask, sudoku4Task] as unknown as readonly TaskDefinition[];

/** Every task with the options that it has by default. */
export const defaultTasks = (): Task[] => tasks.map((task) => task.create(task.options.parse({ name: task.name })));

/**
 * The task that a configuration's `task` section describes, its options already validated.
 * @throws RangeError that lists the known tasks
 */
export function getTask(options: TaskOptions): Task {
  const task = tasks.find((known) => known.name === options.name);
  if (task !== undefined) return task.create(options);
  const known = tasks.map(({ name }) => name).join(', ');
  throw new RangeError(`There is no task "${options.name}". Known tasks: ${known}.`);
}
