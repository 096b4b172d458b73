// The test command: every step in order, a line with its seconds, and one count over all runners at the end.
//   node scripts/test.mjs [all|check|engine|services|browser]
// `check` is the fast part. Later steps run even if an earlier one failed, so that one run shows everything.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { makeEnvironments, unavailableLines, venvsFolder } from './services-venvs.mjs';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const bin = (/** @type {string} */ name) => join(root, 'node_modules', '.bin', name);
const venvBin = (/** @type {string} */ name) => join(root, '.venv', 'bin', name);

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * A step: a command, and how its tests are counted; one without a counter counts as one passed or failed test.
 * @typedef {{ name: string, command: string, args: string[], cwd?: string, count?: 'vitest' | 'pytest' }} Step
 */

/** @type {Step[]} */
const check = [
  { name: 'format and lint', command: bin('biome'), args: ['check', '.'] },
  { name: 'imports', command: process.execPath, args: ['scripts/check-imports.mjs'] },
  { name: 'types', command: bin('tsc'), args: ['--noEmit', '-p', '.'] },
  { name: 'types of pages', command: bin('tsc'), args: ['--noEmit', '-p', 'tsconfig.browser.json'] },
  { name: 'engine format', command: venvBin('ruff'), args: ['format', '--check', '.'], cwd: 'engine' },
  { name: 'engine lint', command: venvBin('ruff'), args: ['check', '.'], cwd: 'engine' },
  vitest('unit'),
];

/** @type {Step} */
const engine = {
  name: 'engine',
  command: venvBin('python'),
  args: ['-m', 'pytest', '-q', 'engine/tests'],
  count: 'pytest',
};

const suites = {
  check,
  engine: [engine],
  services: [vitest('services')],
  browser: [vitest('browser')],
  all: [...check, vitest('temporal'), engine, vitest('e2e')],
};

/**
 * @param {string} project
 * @returns {Step}
 */
function vitest(project) {
  return { name: project, command: bin('vitest'), args: ['run', '--project', project], count: 'vitest' };
}

async function main() {
  const suite = process.argv[2] ?? 'all';
  if (!(suite in suites)) throw new Error(`Unknown suite ${suite}: ${Object.keys(suites).join(', ')}`);
  const scratch = mkdtempSync(join(tmpdir(), 'astroflow-test-'));
  const { made, unavailable } = suite === 'services' ? await services() : { made: [], unavailable: [] };
  // An environment counts as one test, which is skipped if it cannot be made; so are the tests that need it.
  const total = { passed: made.length, failed: 0, skipped: unavailable.length };
  try {
    for (const step of suites[/** @type {keyof typeof suites} */ (suite)]) {
      const startedAt = Date.now();
      const counts = await runStep(step, scratch);
      total.passed += counts.passed;
      total.failed += counts.failed;
      total.skipped += counts.skipped;
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
      console.log(`${counts.failed > 0 ? '✗' : '✓'} ${step.name}  ${seconds} s`);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (unavailable.length > 0) console.error(`\n${unavailableLines(unavailable)}`);
  console.log(`\n${summaryLine(total)}`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

/** The environments of third-party services, where the tests look for them. */
function services() {
  process.env.ASTROFLOW_SERVICES_VENVS = venvsFolder;
  return makeEnvironments();
}

/**
 * @param {Step} step
 * @param {string} scratch folder for reports
 * @returns {Promise<Counts>}
 */
async function runStep(step, scratch) {
  const report = join(scratch, `${step.name}.json`);
  const args = step.count === 'vitest' ? [...step.args, ...vitestReporters(report)] : step.args;
  const { code, output } = await execute(step, args);
  /** @type {Counts | null} */
  let counts = code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
  if (step.count === 'vitest') counts = existsSync(report) ? vitestCounts(readFileSync(report, 'utf8')) : null;
  if (step.count === 'pytest') counts = pytestCounts(output);
  counts ??= { passed: 0, failed: 0, skipped: 0 };
  // A runner can fail without a failed test: a file that does not load, an error after the last test.
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** @param {string} report */
function vitestReporters(report) {
  return ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
}

/**
 * @param {string} report vitest's JSON
 * @returns {Counts}
 */
export function vitestCounts(report) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(report);
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + (numTodoTests ?? 0) };
}

/**
 * Counts from pytest's closing line; null if there is none.
 * @param {string} output
 * @returns {Counts | null}
 */
export function pytestCounts(output) {
  const line = output.split('\n').findLast((text) => /\b\d+ (passed|failed|errors?|skipped)\b.* in [\d.]+s/.test(text));
  if (line === undefined) return null;
  const number = (/** @type {string} */ word) => Number(line.match(new RegExp(`(\\d+) ${word}`))?.[1] ?? 0);
  return { passed: number('passed'), failed: number('failed') + number('error'), skipped: number('skipped') };
}

/** @param {Counts} counts */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * Runs a step, passing its output on.
 * @param {Step} step
 * @param {string[]} args
 * @returns {Promise<{ code: number, output: string }>}
 */
function execute({ command, cwd }, args) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: join(root, cwd ?? '.'), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const pass = (/** @type {NodeJS.WriteStream} */ to) => (/** @type {Buffer} */ chunk) => {
      output += chunk.toString();
      to.write(chunk);
    };
    child.stdout.on('data', pass(process.stdout));
    child.stderr.on('data', pass(process.stderr));
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}. Run \`npm run setup\` first.`);
      done({ code: -1, output });
    });
    child.on('close', (code) => done({ code: code ?? -1, output }));
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) await main();
