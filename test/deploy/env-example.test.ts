import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { interpolated, readCompose } from '../support/compose.ts';
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

/** Packages that read variables by themselves, and where they do. */
const libraries: [RegExp, string[]][] = [
  [/^TEMPORAL_/, ['@temporalio/envconfig/lib']],
  [
    /^AWS_/,
    ['@aws-sdk/checksums/dist-cjs', '@aws-sdk/credential-provider-env/dist-cjs', '@smithy/core/dist-cjs/submodules'],
  ],
];

/** `AWS_ENDPOINT_URL_S3` is put together of the name and the service. */
const partOf = (name: string) => name.replace(/_S3$/, '');

function isReadByALibrary(name: string): boolean {
  const packages = libraries.find(([prefix]) => prefix.test(name))?.[1] ?? [];
  const files = packages.flatMap((folder) => filesIn(join('node_modules', folder), '.js'));
  return files.some((file) => readFileSync(file, 'utf8').includes(partOf(name)));
}

const filled = Object.fromEntries(readEnvExample().map(({ name, value }) => [name, value || 'given']));
const compose = readCompose(filled, ['s3', 'vllm', 'observability']);

/** What programs of others read: in a container of theirs, or before there is one. */
const ofOthers = new Map([
  ['COMPOSE_PROFILES', 'docker compose'],
  ['HF_TOKEN', 'vllm'],
]);

test('.env.example has nothing that nobody reads', () => {
  const code = readByTheCode();
  const known = [...interpolated().keys(), ...ofOthers.keys()];
  const unread = readEnvExample()
    .map(({ name }) => name)
    // What is wanted as a token may be given as a file (`readToken`).
    .filter((name) => !code.has(name.replace(/_TOKEN_FILE$/, '_TOKEN')))
    .filter((name) => !known.includes(name) && !isReadByALibrary(name));
  expect(unread).toEqual([]);
  expect(Object.keys(compose.services.vllm?.environment ?? {})).toContain('HF_TOKEN');
});

/** Why a worker in a container is not given these. */
const notGiven = [
  [/^(COMPOSE_|PORT_|POSTGRES_|GRAFANA_|VLLM_|HF_)/, 'of other services'],
  [/^ASTROFLOW_(PAGE|CODEC)_TOKEN/, 'of other commands'],
  [/^ASTROFLOW_ENGINE_TOKEN_FILE$/, 'it is given the token'],
  [/^ASTROFLOW_(HOME|HEALTH_ADDRESS)$/, 'the image says them'],
] as const;

test('a worker in a container is given every setting that it has a use for', () => {
  const given = Object.keys(compose.services.worker?.environment ?? {});
  const wanted = readEnvExample()
    .map(({ name }) => name)
    .filter((name) => !notGiven.some(([pattern]) => pattern.test(name)));
  expect(given.sort()).toEqual(wanted.sort());
});

test('the variables of docs/operating.md are in .env.example', () => {
  const known = readEnvExample().map(({ name }) => name);
  const [, table = ''] =
    /\| variable \| meaning \|\n([\s\S]*?)\n\n/.exec(readFileSync('docs/operating.md', 'utf8')) ?? [];
  const named = [...table.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !known.includes(name ?? ''))).toEqual([]);
});
