import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from '../../src/services/jobs/recipes/recipe.ts';

/**
 * A trainer in a few lines of JavaScript that behaves as the real ones do: it reads the job's files, makes a step every
 * time the file `go` grows, writes checkpoints, goes on from the newest one, and leaves a model's folder. It notes each
 * start in `starts`. `broken` makes it fail; `open` lets it go through without waiting.
 */
const program = `
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
const { steps, rows, model } = JSON.parse(read('input.json'));
let step = Number(read('checkpoint') || 0);
const from = step;
appendFileSync('starts', JSON.stringify({ pid: process.pid, from }) + '\\n');
console.log('begins at step ' + from);
if (existsSync('broken')) {
  console.error('CUDA out of patience');
  process.exit(1);
}
while (step < steps) {
  if (existsSync('open') || read('go').length > step) {
    step += 1;
    writeFileSync('checkpoint', String(step));
    console.log('step ' + step + ' of ' + steps);
  } else await new Promise((next) => setTimeout(next, 10));
}
mkdirSync('model', { recursive: true });
writeFileSync('model/config.json', JSON.stringify({ grew_from: model, rows: rows.length }));
writeFileSync('done.json', JSON.stringify({ step, from, loss: 0.5 }));
`;

export const scriptRecipe: Recipe = {
  name: 'script',
  prepare: ({ model, rows, stage, params }) => ({
    files: {
      'train.mjs': program,
      'input.json': JSON.stringify({ model, rows, stage, steps: 'steps' in params ? params.steps : params.iterations }),
    },
    command: [process.execPath, 'train.mjs'],
    env: {},
  }),
  progress(log) {
    const [, done, total] = [...log.matchAll(/step (\d+) of (\d+)/g)].at(-1) ?? [];
    return done === undefined ? null : { done: Number(done), total: Number(total) };
  },
  async collect({ folder }) {
    const { step, from, loss } = JSON.parse(readFileSync(join(folder, 'done.json'), 'utf8'));
    return { model: join(folder, 'model'), globalStep: step, resumedFrom: from, metrics: { loss } };
  },
};

/** The same, going through without waiting. */
export const openRecipe: Recipe = {
  ...scriptRecipe,
  prepare(input) {
    const job = scriptRecipe.prepare(input);
    return { ...job, files: { ...job.files, open: '' } };
  },
};

/** Every start of the trainer in a job's folder. */
export function startsIn(folder: string): { pid: number; from: number }[] {
  const file = join(folder, 'starts');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}
