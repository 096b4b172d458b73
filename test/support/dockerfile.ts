import { cpSync, mkdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface Instruction {
  name: string;
  text: string;
}

export interface Stage {
  name: string;
  base: string;
  instructions: Instruction[];
}

/** The stages of a Dockerfile, by name; continued lines are joined, comments left out. */
export function readStages(dockerfile: string): Map<string, Stage> {
  const lines = dockerfile
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const line of lines) {
    const [name = '', ...rest] = line.trim().split(/\s+/);
    const from = /^FROM (\S+) AS (\S+)$/.exec(line);
    if (from) {
      stage = { name: from[2] ?? '', base: from[1] ?? '', instructions: [] };
      stages.set(stage.name, stage);
    } else if (stage === undefined) throw new Error(`before the first stage: ${line}`);
    else stage.instructions.push({ name, text: rest.join(' ') });
  }
  return stages;
}

/** What a stage copies from the build context: sources, and where to. */
export function copiesOf(stage: Stage): { sources: string[]; target: string }[] {
  return stage.instructions
    .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
    .map(({ text }) => {
      const parts = text.split(/\s+/);
      return { sources: parts.slice(0, -1), target: parts.at(-1) ?? '' };
    });
}

/**
 * Whether a `.dockerignore` lets a path to the builder: the last line that names it, or a folder it is in, decides.
 * Of Docker's patterns it knows the whole of everything, paths, and a leading star-star.
 */
export function isSent(dockerignore: string, path: string): boolean {
  let sent = true;
  for (const line of dockerignore.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const isBack = line.startsWith('!');
    const pattern = isBack ? line.slice(1) : line;
    if (/[?[\]]/.test(pattern) || /\*/.test(pattern.replace(/^\*$|^\*\*\//, '')))
      throw new Error(`.dockerignore: a pattern that this does not know: ${line}`);
    const matches =
      pattern === '*' ||
      (pattern.startsWith('**/')
        ? path.split('/').includes(pattern.slice(3))
        : path === pattern || path.startsWith(`${pattern}/`));
    if (matches) sent = isBack;
  }
  return sent;
}

/** Lays a stage's own files out in `folder`, which stands for its working directory, as a builder would. */
export function layOut(stage: Stage, dockerignore: string, folder: string): void {
  for (const { sources, target } of copiesOf(stage)) {
    for (const source of sources) {
      const isFile = statSync(source).isFile();
      // A file goes into a folder; of a folder its content goes there.
      const to =
        isFile && (/^\.$|\/$/.test(target) || sources.length > 1)
          ? join(folder, target, basename(source))
          : join(folder, target);
      if (isFile && !isSent(dockerignore, source)) throw new Error(`.dockerignore keeps back ${source}`);
      mkdirSync(isFile ? join(to, '..') : to, { recursive: true });
      cpSync(source, to, {
        recursive: true,
        filter: (path) => statSync(path).isDirectory() || isSent(dockerignore, path.replaceAll('\\', '/')),
      });
    }
  }
}
