import { readFile } from 'node:fs/promises';
import type { ProblemSource, RunConfig } from '../../config/schema.ts';
import type { Json, Problem } from '../../core/problem.ts';
import { getTask } from '../../core/tasks/index.ts';
import type { Renderer } from '../renderer/renderer.ts';
import type { Prompt } from '../sampler/sampler.ts';

/**
 * The first two prompts that the search will ask, as it asks them: what services are tried with.
 * @throws Error that says why there is none
 */
export async function firstPrompts(config: RunConfig, renderer: Renderer): Promise<Prompt[]> {
  const task = getTask(config.task);
  const problems = await firstProblems(config, config.search.problems, 2);
  if (problems.length === 0) throw new RangeError('there is no usable problem');
  return problems.map((problem) => renderer.prompt(task.prompt(problem)));
}

async function firstProblems(config: RunConfig, source: ProblemSource, count: number): Promise<Problem[]> {
  const task = getTask(config.task);
  if ('split' in source) {
    return task.generate({ split: source.split, count: Math.min(count, source.count), seed: config.seed });
  }
  const problems: Problem[] = [];
  for (const line of (await readFile(source.file, 'utf8')).split('\n')) {
    if (problems.length === count) break;
    try {
      if (line.trim() !== '') problems.push(task.parseRow(JSON.parse(line) as Json));
    } catch {
      // The run itself reports every row that it cannot use.
    }
  }
  return problems;
}
