import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { ServiceError } from '../errors.ts';

export type JsonObject = Record<string, unknown>;

export const tokenizerService = 'tokenizer';

/** A model folder in Hugging Face's format, as far as it is about text. */
export interface ModelFolder {
  path: string;
  tokenizer: Tokenizer;
  /** tokenizer.json as it is written. */
  source: string;
  /** tokenizer_config.json */
  config: JsonObject;
  /** The model's chat template; null where it has none. */
  chatTemplate: string | null;
}

/** @throws ServiceError (fatal) when the folder is not a usable tokenizer */
export function readModelFolder(path: string): ModelFolder {
  const source = readText(path, 'tokenizer.json');
  const config = readJson(path, 'tokenizer_config.json');
  return { path, source, config, tokenizer: open(path, source, config), chatTemplate: readTemplate(path, config) };
}

function open(path: string, source: string, config: JsonObject): Tokenizer {
  try {
    return new Tokenizer(JSON.parse(source), config);
  } catch (cause) {
    throw unusable(path, `tokenizer.json cannot be loaded: ${cause instanceof Error ? cause.message : cause}`, cause);
  }
}

/**
 * `chat_template.jinja` wins over the field `chat_template` of tokenizer_config.json: one text, or a list of named ones
 * with a "default".
 */
function readTemplate(path: string, config: JsonObject): string | null {
  try {
    return readFileSync(join(path, 'chat_template.jinja'), 'utf8');
  } catch {
    // Most folders have the field instead.
  }
  const declared = config.chat_template;
  if (typeof declared === 'string') return declared;
  if (!Array.isArray(declared)) return null;
  const named = declared as { name?: unknown; template?: unknown }[];
  const template = named.find(({ name }) => name === 'default')?.template;
  return typeof template === 'string' ? template : null;
}

/** config.json holds an id, or a list whose first entry we take; tokenizer_config.json holds the token's text. */
export function endOfText({ path, tokenizer, config }: ModelFolder): number {
  const declared = [readJson(path, 'config.json', {}).eos_token_id].flat()[0];
  if (typeof declared === 'number') return declared;
  const token = tokenText(config.eos_token);
  const id = token === undefined ? undefined : tokenizer.token_to_id(token);
  if (id === undefined)
    throw unusable(path, 'neither config.json nor tokenizer_config.json names an end-of-text token');
  return id;
}

/** A special token is written as a string or as an object with its content. */
export function tokenText(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  if (typeof token === 'object' && token !== null && 'content' in token) return tokenText(token.content);
  return undefined;
}

function readText(path: string, file: string): string {
  try {
    return readFileSync(join(path, file), 'utf8');
  } catch (cause) {
    throw unusable(path, `${file} cannot be read`, cause);
  }
}

function readJson(path: string, file: string, otherwise?: JsonObject): JsonObject {
  try {
    return JSON.parse(readText(path, file)) as JsonObject;
  } catch (cause) {
    if (otherwise) return otherwise;
    throw cause instanceof ServiceError ? cause : unusable(path, `${file} is not JSON`, cause);
  }
}

export function unusable(path: string, reason: string, cause?: unknown): ServiceError {
  const advice = 'set policy.tokenizer to a model folder in Hugging Face format';
  return new ServiceError('fatal', `no usable tokenizer in ${path}: ${reason}; ${advice}`, {
    service: tokenizerService,
    cause,
  });
}
