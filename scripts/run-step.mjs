// What scripts that install things share: a line for each step, output that goes to a log file, pip, torch.

import { spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { torchSources } from './setup-checks.mjs';

/** @typedef {(command: string, args: string[]) => Promise<{ code: number, output: string }>} Execute */

/**
 * Runs one step with a line at its end, and one in between when it takes long.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} run
 * @returns {Promise<T>}
 */
export async function step(name, run) {
  const startedAt = Date.now();
  const ticker = setInterval(() => console.log(`  … ${name}, ${seconds(startedAt)}`), 20_000);
  try {
    const result = await run();
    console.log(`  ✓ ${name}  ${seconds(startedAt)}`);
    return result;
  } catch (error) {
    console.log(`  ✗ ${name}  ${seconds(startedAt)}`);
    throw error;
  } finally {
    clearInterval(ticker);
  }
}

/**
 * What runs a command to its end in a folder without a terminal to ask on; its output also goes to the log file.
 * @param {string} cwd
 * @param {string} logFile
 * @returns {Execute}
 */
export function executor(cwd, logFile) {
  return (command, args) => {
    const log = openSync(logFile, 'a');
    writeFileSync(log, `$ ${command} ${args.join(' ')}\n`);
    return new Promise((done) => {
      const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      const collect = (/** @type {Buffer} */ chunk) => {
        output += chunk.toString();
        writeFileSync(log, chunk);
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      child.on('error', (error) => done({ code: -1, output: `${output}${error.message}` }));
      child.on('close', (code) => {
        closeSync(log);
        done({ code: code ?? -1, output });
      });
    });
  };
}

// Byte code is compiled when a module is first imported; compiling all of torch here would take longer than that.
export const pipInstall = [
  ...['-m', 'pip', 'install', '--quiet', '--no-compile', '--no-input', '--disable-pip-version-check'],
];

/**
 * Installs the CPU build of torch, from where it can be had.
 * @param {string} python
 * @param {string} version
 * @param {Execute} execute
 * @returns {ReturnType<Execute>} of the last try
 */
export async function installTorch(python, version, execute) {
  let result = { code: -1, output: '' };
  for (const source of torchSources(version, process.platform)) {
    result = await execute(python, [...pipInstall, ...source.args]);
    if (result.code === 0) break;
  }
  return result;
}

/** @param {string} output */
export function tail(output) {
  return output.trim().split('\n').slice(-12).join('\n');
}

/** @param {number} startedAt */
export function seconds(startedAt) {
  return `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
}
