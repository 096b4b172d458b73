import { describe, expect, it } from 'vitest';
import { importsOf, violation } from '../../scripts/check-imports.mjs';

describe('the import rule', () => {
  it.each([
    ['core/key.ts', './seed.ts', false],
    ['core/key.ts', '@noble/hashes/sha2.js', false],
    ['core/tasks/countdown.ts', 'zod', false],
    ['workflows/stage.ts', '../core/progress.ts', false],
    ['workflows/stage.ts', '../activities/search.ts', true],
    ['workflows/stage.ts', '@temporalio/workflow', false],
    ['services/store/folder.ts', 'node:fs/promises', false],
    ['activities/search.ts', '../services/store/store.ts', false],
    ['cli/demo.ts', '../workers/worker.ts', false],
    ['services/tinker/client.ts', './archive.ts', false],
    ['services/tinker/proto-schema.ts', 'protobufjs', false],
    ['services/trainer/tinker.ts', '../tinker/index.ts', false],
  ])('lets %s import %s', (file, target, typeOnly) => {
    expect(violation(file, { target, typeOnly })).toBeNull();
  });

  it.each([
    ['core/key.ts', 'node:crypto', false, "must not import Node's node:crypto"],
    ['core/key.ts', '../services/errors.ts', true, 'core must not import services'],
    ['core/key.ts', 'zod', false, 'core must not import zod'],
    ['workflows/stage.ts', '../activities/search.ts', false, 'write "import type"'],
    ['workflows/stage.ts', '../config/schema.ts', false, 'write "import type"'],
    ['workflows/stage.ts', 'zod', false, 'workflows must not import zod'],
    ['config/plan.ts', './schema.ts', false, 'write "import type"'],
    ['services/sampler/openai.ts', '../../activities/deps.ts', true, 'services must not import activities'],
    ['activities/search.ts', '../cli/home.ts', false, 'activities must not import cli'],
    ['workers/worker.ts', '../cli/home.ts', false, 'workers must not import cli'],
    ['core/key.ts', '../../scripts/setup.mjs', false, 'outside src/'],
    ['attic/old.ts', './x.ts', false, 'not one of the rooms'],
    ['services/tinker/client.ts', '../errors.ts', true, 'services/tinker must not import services'],
    ['services/tinker/client.ts', '../../core/key.ts', false, 'services/tinker must not import core'],
    ['services/tinker/client.ts', 'openai', false, 'services/tinker must not import openai'],
  ])('stops %s from importing %s', (file, target, typeOnly, message) => {
    expect(violation(file, { target, typeOnly })).toContain(message);
  });

  it('sees every form of import, with its line', () => {
    const source = [
      "import a from './a.ts';",
      "import type { B } from './b.ts';",
      'import {',
      '  c,',
      "} from './c.ts';",
      "export * from './d.ts';",
      "export type { E } from './e.ts';",
      "import './f.ts';",
      "const g = await import('./g.ts');",
      "export const text = 'from here';",
    ].join('\n');
    expect(importsOf(source).map(({ target, typeOnly, line }) => [target, typeOnly, line])).toEqual([
      ['./a.ts', false, 1],
      ['./b.ts', true, 2],
      ['./c.ts', false, 3],
      ['./d.ts', false, 6],
      ['./e.ts', true, 7],
      ['./f.ts', false, 8],
      ['./g.ts', false, 9],
    ]);
  });
});
