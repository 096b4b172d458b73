import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readEnvExample } from '../support/env-example.ts';

/** Why nobody sets these for Astroflow. */
const notSettings = new Map([
  ...['PATH', 'TERM', 'COLUMNS'].map((name) => [name, 'every process has it'] as const),
  ...['OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'TOKENIZERS_PARALLELISM'].map(
    (name) => [name, 'the engine sets it'] as const,
  ),
  ['HF_HUB_OFFLINE', 'the engine is offline unless somebody develops it'],
  ['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'the store sets it'],
  ['NAME', 'messages show by it how a variable is named'],
  ['RAY_AUTH_MODE', "a message names this setting of Ray's own server"],
]);

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

/** What is taken from `env`, and every name that is plainly one of ours or of a library, wherever it stands. */
const patterns = [
  /\benv\??\.([A-Z][A-Z0-9_]+)/g,
  /\b(?:env|environ)(?:\.get\(|\.setdefault\(|\[)['"]([A-Z][A-Z0-9_]+)['"]/g,
  /["']?\benv["']?: ["']([A-Z][A-Z0-9_]+)["']/g,
  /\b((?:ASTROFLOW|AWS|MLFLOW|OTEL|RAY|TEMPORAL|TINKER|WANDB)_[A-Z0-9_]*[A-Z0-9])\b/g,
];

/** Name → a file that reads it. Recipes' Python is left out: it runs in a training job, with what its launcher sets. */
function readByTheCode(): Map<string, string> {
  const found = new Map<string, string>();
  const engine = filesIn('engine', '.py').filter((name) => !name.startsWith(join('engine', 'tests')));
  for (const file of [...filesIn('src', '.ts'), ...filesIn('configs', '.json'), ...engine])
    for (const pattern of patterns)
      for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(pattern)) found.set(name, file);
  return found;
}

test('.env.example has every variable that the code or a shipped configuration reads', () => {
  const known = readEnvExample().map(({ name }) => name);
  const missing = [...readByTheCode()].filter(([name]) => !known.includes(name) && !notSettings.has(name));
  expect(Object.fromEntries(missing)).toEqual({});
});

test('.env.example explains each variable, names none twice, and holds no secret', () => {
  const lines = readEnvExample();
  expect(lines.length).toBeGreaterThan(30);
  expect(new Set(lines.map(({ name }) => name)).size).toBe(lines.length);
  for (const { name, value, comment } of lines) {
    expect(comment, name).not.toBe('');
    if (/PASSWORD|TOKEN|SECRET|_KEY|_KEYS|KEY_ID/.test(name)) expect(value, name).toBe('');
  }
});
