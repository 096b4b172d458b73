// Known vulnerabilities of the packages that Astroflow runs with: npm's by `npm audit`, the engine's by `pip-audit` where
// that is installed. A high or critical one fails; a registry that does not answer is said, and fails nothing.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const failing = ['high', 'critical'];

/**
 * What an answer of `npm audit --json` says: null where there is none, else a line for each package that must not stay.
 * @param {string} text
 * @returns {string[] | null}
 */
export function seriousIn(text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof answer?.vulnerabilities !== 'object' || answer.metadata?.vulnerabilities === undefined) return null;
  return Object.values(answer.vulnerabilities)
    .filter(({ severity }) => failing.includes(severity))
    .map(({ name, severity, range }) => `${name} ${range}: ${severity}`);
}

function auditPackages() {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  const serious = seriousIn(stdout ?? '');
  if (serious === null) console.log('npm audit: the registry did not answer, so nothing is known.');
  else if (serious.length === 0) console.log('npm audit: nothing high or critical.');
  else for (const line of serious) console.error(`npm audit: ${line}`);
  return serious === null || serious.length === 0;
}

function auditEngine() {
  const program = join(root, '.venv', 'bin', 'pip-audit');
  if (!existsSync(program)) {
    console.log('pip-audit: not installed (.venv/bin/pip install pip-audit), so nothing is known.');
    return true;
  }
  const requirements = ['-r', join(root, 'engine', 'requirements.txt'), '--no-deps', '--progress-spinner', 'off'];
  const { status, stdout, stderr } = spawnSync(program, requirements, {
    cwd: root,
    encoding: 'utf8',
    timeout: 120_000,
  });
  const found = /Found \d+ known vulnerabilit/.test(`${stdout}${stderr}`);
  console.log(
    found ? stdout : status === 0 ? 'pip-audit: nothing known.' : 'pip-audit: no answer, so nothing is known.',
  );
  return !found;
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const results = [auditPackages(), auditEngine()];
  if (results.includes(false)) process.exitCode = 1;
}
