import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer } from '@huggingface/tokenizers';
import { ServiceError } from '../errors.ts';
import type { Renderer } from './renderer.ts';

/** How messages become one text. `plain`: their contents, joined; for base models without a chat format. */
export type Template = 'plain' | 'chat';

const service = 'tokenizer';
const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * A renderer from a model folder in Hugging Face's format: tokenizer.json, tokenizer_config.json and config.json
 * (for the end-of-text token; optional where tokenizer_config.json names it). A relative folder is looked up under the
 * package, so that a configuration means the same wherever a worker is started.
 *
 * @throws ServiceError (fatal) when the folder is not a usable tokenizer.
 */
export function tokenizerRenderer(folder: string, template: Template = 'plain'): Renderer {
  const path = resolve(packageRoot, folder);
  const source = readText(path, 'tokenizer.json');
  const config = readJson(path, 'tokenizer_config.json');
  const tokenizer = open(path, source, config);
  const unknownToken = nameOf(config.unk_token);
  const unknownId = unknownToken === undefined ? undefined : tokenizer.token_to_id(unknownToken);

  const encode = (text: string): number[] => {
    const { ids, tokens } = tokenizer.encode(text, { add_special_tokens: false });
    const at = unknownId === undefined ? -1 : ids.indexOf(unknownId);
    if (at === -1) return ids;
    throw new ServiceError(
      'fatal',
      `the tokenizer in ${folder} has no token for ${JSON.stringify(tokens[at])} in ` +
        `${JSON.stringify(shorten(text))}: use a model whose vocabulary covers the task, or drop such problems`,
      { service },
    );
  };

  return {
    encode,
    prompt(messages) {
      const text = messages.map((message) => message.content).join('');
      return { tokens: encode(text), text };
    },
    decode: (tokens) => (tokens.length === 0 ? '' : tokenizer.decode([...tokens], { skip_special_tokens: true })),
    eosToken: eosOf(path, tokenizer, config),
    hash: createHash('sha256').update(source).update('\0').update(template).digest('hex'),
  };
}

type JsonObject = Record<string, unknown>;

function open(path: string, source: string, config: JsonObject): Tokenizer {
  try {
    return new Tokenizer(JSON.parse(source), config);
  } catch (cause) {
    throw unusable(path, `tokenizer.json cannot be loaded: ${cause instanceof Error ? cause.message : cause}`, cause);
  }
}

/** config.json holds an id, or a list whose first entry we take; tokenizer_config.json holds the token's text. */
function eosOf(path: string, tokenizer: Tokenizer, config: JsonObject): number {
  const declared = [readJson(path, 'config.json', {}).eos_token_id].flat()[0];
  if (typeof declared === 'number') return declared;
  const token = nameOf(config.eos_token);
  const id = token === undefined ? undefined : tokenizer.token_to_id(token);
  if (id === undefined)
    throw unusable(path, 'neither config.json nor tokenizer_config.json names an end-of-text token');
  return id;
}

/** A special token is written as a string or as an object with its content. */
function nameOf(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  if (typeof token === 'object' && token !== null && 'content' in token) return nameOf(token.content);
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

function unusable(path: string, reason: string, cause?: unknown): ServiceError {
  const advice = 'set policy.tokenizer to a model folder in Hugging Face format';
  return new ServiceError('fatal', `no usable tokenizer in ${path}: ${reason}; ${advice}`, { service, cause });
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
