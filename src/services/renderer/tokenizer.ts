import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tokenizer } from '@huggingface/tokenizers';
import type { Message } from '../../core/problem.ts';
import { ServiceError } from '../errors.ts';
import { bytesRenderer } from './bytes.ts';
import { type ChatTemplate, chatTemplate } from './chat-template.ts';
import { endOfText, readModelFolder, tokenizerService as service, tokenText } from './model-folder.ts';
import type { Renderer } from './renderer.ts';

/**
 * How messages become one text. `plain`: their contents, joined; for base models without a chat format. `chat`: by the
 * model's own chat template.
 */
export type TemplateKind = 'plain' | 'chat';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** The renderer that `policy.tokenizer` and `policy.template` name. @throws ServiceError (fatal) when there is none */
export function createRenderer(tokenizer: string, template: TemplateKind): Renderer {
  if (tokenizer !== 'bytes') return tokenizerRenderer(tokenizer, template);
  if (template === 'plain') return bytesRenderer;
  const message =
    'policy.tokenizer "bytes" has no chat template: set policy.template to "plain", or name a model folder';
  throw new ServiceError('fatal', message, { service });
}

/**
 * A renderer from a model folder in Hugging Face's format: tokenizer.json, tokenizer_config.json and config.json
 * (for the end-of-text token; optional where tokenizer_config.json names it). A relative folder is looked up under the
 * package, so that a configuration means the same wherever a worker is started.
 *
 * What a message says can never become a control token: a special token's text inside it is broken by a space behind
 * its first character. Only the template writes control tokens.
 *
 * @throws ServiceError (fatal) when the folder is not a usable tokenizer
 */
export function tokenizerRenderer(folder: string, kind: TemplateKind = 'plain'): Renderer {
  const files = readModelFolder(resolve(packageRoot, folder));
  const { tokenizer, config } = files;
  const unknownToken = tokenText(config.unk_token);
  const unknownId = unknownToken === undefined ? undefined : tokenizer.token_to_id(unknownToken);
  const control = controlTokens(tokenizer);
  const disarm = disarmer([...control.keys()]);
  const chat = kind === 'chat' ? chatTemplate(files) : null;

  const toTokens = (text: string): number[] => {
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
    prompt(messages) {
      const disarmed = messages.map((message): Message => ({ ...message, content: disarm(message.content) }));
      const text = chat?.render(disarmed) ?? disarmed.map((message) => message.content).join('');
      return { tokens: toTokens(text), text };
    },
    encode: (text) => toTokens(disarm(text)),
    decode: (tokens, { special } = { special: false }) =>
      tokens.length === 0
        ? ''
        : // Cleaning up would change spaces, and no text could be found again in its tokens.
          tokenizer.decode([...tokens], { skip_special_tokens: !special, clean_up_tokenization_spaces: false }),
    eosToken: (chat && endOfTurn(chat, control)) ?? endOfText(files),
    bos: tokenText(config.bos_token) ?? null,
    hash: hashOf(files.source, kind, chat?.identity),
  };
}

/** The template is left out where it is not used, so that it cannot change a plain policy's keys. */
function hashOf(source: string, kind: TemplateKind, template: string | undefined): string {
  const hash = createHash('sha256').update(source).update('\0').update(kind);
  return (template === undefined ? hash : hash.update('\0').update(template)).digest('hex');
}

/** The token that the template puts behind an answer: training rows end in it. Undefined: it puts none there. */
function endOfTurn(chat: ChatTemplate, control: ReadonlyMap<string, number>): number | undefined {
  const after = chat.afterAnswer().trimStart();
  const longest = [...control.keys()].filter((text) => after.startsWith(text)).sort((a, b) => b.length - a.length)[0];
  return longest === undefined ? undefined : control.get(longest);
}

/**
 * Tokens that structure a conversation, by text: the special ones, and added ones written with bars (`<｜User｜>`), which
 * some models do not mark as special. Not the likes of `<think>`, which stand in texts.
 */
function controlTokens(tokenizer: Tokenizer): Map<string, number> {
  const added = [...tokenizer.get_added_tokens_decoder().values()];
  return new Map(
    added.filter(({ special, content }) => special || /[|｜]/.test(content)).map(({ content, id }) => [content, id]),
  );
}

function disarmer(control: readonly string[]): (text: string) => string {
  const texts = control.filter((text) => text.length > 1).sort((a, b) => b.length - a.length);
  if (texts.length === 0) return (text) => text;
  const any = new RegExp(texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'gu');
  return (text) => {
    let disarmed = text;
    // Again, for tokens that overlap; each pass breaks what it finds, so it ends.
    while (disarmed.search(any) !== -1)
      disarmed = disarmed.replace(any, (found) => `${[...found][0]} ${[...found].slice(1).join('')}`);
    return disarmed;
  };
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
