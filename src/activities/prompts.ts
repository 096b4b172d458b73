import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConfigProblem } from '../config/parse.ts';
import type { RolesConfig } from '../config/schema.ts';
import { type PromptName, type PromptTexts, promptProblems } from '../core/language/prompt.ts';
import type { Task } from '../core/task.ts';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The prompt files of the roles that a model fills; null when there is none. A relative path is looked up under the
 * package, as a tokenizer's is. Adds to `problems` instead of throwing, so that all are reported at once.
 */
export async function readPrompts(
  { judge, narrator }: RolesConfig,
  task: Task,
  problems: ConfigProblem[],
): Promise<PromptTexts | null> {
  if (narrator !== null && task.phrases.narration === undefined) {
    problems.push({
      path: 'roles.narrator',
      message: `the task "${task.name}" has no phrases for a narrator to write between: leave "narrator" out, templates write then`,
    });
  }
  const files: { name: PromptName; path: string; file: string }[] = [];
  if (judge !== null) files.push({ name: 'judge', path: 'roles.judge.prompt', file: judge.prompt });
  for (const name of ['step', 'backtrack', 'restart'] as const) {
    if (narrator !== null) files.push({ name, path: `roles.narrator.prompts.${name}`, file: narrator.prompts[name] });
  }
  const texts: PromptTexts = {};
  for (const { name, path, file } of files) {
    try {
      const text = await readFile(resolve(packageRoot, file), 'utf8');
      texts[name] = text;
      for (const message of promptProblems(name, text)) problems.push({ path, message: `${file}: ${message}` });
    } catch (error) {
      problems.push({ path, message: `cannot read ${file}: ${(error as Error).message}` });
    }
  }
  return files.length === 0 ? null : texts;
}
