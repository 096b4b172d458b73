import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CliError } from './errors.ts';
import { jsonErrorAt } from './json-error.ts';

/** A configuration as it was written; whether it makes sense is checked by the workflow's first step. */
export type ConfigDocument = Record<string, unknown>;

/** @throws CliError that names the file, and line and column of what is not JSON. */
export function readConfigFile(path: string): ConfigDocument {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new CliError(code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read: ${String(error)}`);
  }
  return parseConfig(text, path);
}

export function parseConfig(text: string, path: string): ConfigDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const found = jsonErrorAt(text);
    if (found === null) throw new CliError(`${path}: ${(error as Error).message}`);
    const before = text.slice(0, found.offset).split('\n');
    const column = (before.at(-1)?.length ?? 0) + 1;
    const line = text.split('\n')[before.length - 1] ?? '';
    throw new CliError(`${path}:${before.length}:${column}: ${found.message}\n  ${line}\n  ${' '.repeat(column - 1)}^`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CliError(`${path}: a configuration is one JSON object.`);
  return value as ConfigDocument;
}

/** The configuration with another seed, where one is asked for. */
export function withSeed(document: ConfigDocument, seed: number | undefined): ConfigDocument {
  return seed === undefined ? document : { ...document, seed };
}

/** The run's name: asked for, written in the configuration, or the file's own. */
export function runNameFor(document: ConfigDocument, path: string, asked: string | undefined): string {
  if (asked !== undefined) return asked;
  return typeof document.run === 'string' ? document.run : basename(path).replace(/\.json$/, '');
}
