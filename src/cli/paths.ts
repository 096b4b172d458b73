import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from './errors.ts';

/** The repository (or the installed package). */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Python of the engine's environment, made by `npm run setup`. */
export function venvPython(): string {
  return existing(join(packageRoot, '.venv', 'bin', 'python'), 'The Python environment');
}

/** The Temporal CLI that `npm run setup` found on PATH or installed. */
export function temporalBinary(): string {
  const stamp = join(packageRoot, '.venv', 'astroflow-setup.json');
  const { temporal } = JSON.parse(readFileSync(existing(stamp, 'The set-up'), 'utf8')) as { temporal: string };
  return existing(isAbsolute(temporal) ? temporal : join(packageRoot, temporal), 'The Temporal CLI');
}

function existing(path: string, what: string): string {
  if (!existsSync(path)) throw new CliError(`${what} is missing (${path}). Run \`npm run setup\` first.`);
  return path;
}
