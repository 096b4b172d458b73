import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import type { Message } from '../../core/problem.ts';
import { ServiceError } from '../errors.ts';
import { type ModelFolder, tokenizerService, tokenText } from './model-folder.ts';

export interface ChatTemplate {
  /** The template and what it is given, as text: equal ones write equal prompts. */
  identity: string;
  /** The text that a model continues. @throws ServiceError (fatal) when the template refuses the messages */
  render(messages: readonly Message[]): string;
  /** What the template writes behind an answer; empty where it cannot be told. */
  afterAnswer(): string;
}

/**
 * The date that every template is told. Prompts must not change from one day to the next: they are part of what a run
 * has computed. It is the date that Llama 3's templates fall back on, a Friday.
 */
const DATE: Record<string, string> = {
  Y: '2024',
  y: '24',
  m: '07',
  d: '26',
  e: '26',
  b: 'Jul',
  B: 'July',
  a: 'Fri',
  A: 'Friday',
  j: '208',
  H: '00',
  I: '12',
  M: '00',
  S: '00',
  p: 'AM',
  '%': '%',
};
const DATE_STRING = '26 Jul 2024';

/** What Jinja and transformers give to every template. */
const constants = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range: (first: number, end?: number, step = 1): number[] => {
    const [from, to] = end === undefined ? [0, first] : [first, end];
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, index) => from + index * step);
  },
  raise_exception: (message: string): never => {
    throw new Error(message);
  },
  strftime_now: (format: string): string => format.replace(/%-?(.)/g, (written, code: string) => DATE[code] ?? written),
};

/** Stands where an answer goes on; no template has a reason to look for it. */
const MARK = 'ASTROFLOW-CONTINUES-HERE';

/**
 * A model's chat template as transformers renders it: blocks trimmed, special tokens as variables, `raise_exception`
 * and (with a fixed date) `strftime_now`.
 *
 * @throws ServiceError (fatal) when the folder has no template or one that does not parse
 */
export function chatTemplate(folder: ModelFolder): ChatTemplate {
  const { path, chatTemplate: source } = folder;
  if (source === null) {
    throw refused(
      `${path} has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): ` +
        'add chat_template.jinja there, or set policy.template to "plain"',
    );
  }
  const program = parseTemplate(path, source);
  const variables = {
    ...specialTokens(folder.config),
    tools: null,
    documents: null,
    date_string: DATE_STRING,
  };

  function render(messages: readonly Message[], generate: boolean): string {
    try {
      const environment = new Environment();
      const all = { ...constants, ...variables, messages, add_generation_prompt: generate };
      for (const [name, value] of Object.entries(all)) environment.set(name, value);
      return String(new Interpreter(environment).run(program).value);
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause);
      throw refused(
        `the chat template in ${path} refuses the messages of ${messages.map((m) => m.role)}: ${said}`,
        cause,
      );
    }
  }

  return {
    identity: JSON.stringify([source, specialTokens(folder.config)]),
    render(messages) {
      const last = messages.at(-1);
      if (last?.role !== 'assistant') return render(messages, true);
      // The answer's beginning stays open: everything behind it is cut away, white space at its end stays.
      const marked = render([...messages.slice(0, -1), { ...last, content: last.content + MARK }], false);
      const at = marked.lastIndexOf(MARK);
      if (at === -1) throw refused(`the chat template in ${path} leaves the answer's beginning out`);
      return marked.slice(0, at);
    },
    afterAnswer() {
      try {
        const whole = render(
          [
            { role: 'user', content: 'question' },
            { role: 'assistant', content: MARK },
          ],
          false,
        );
        const at = whole.lastIndexOf(MARK);
        return at === -1 ? '' : whole.slice(at + MARK.length);
      } catch {
        return '';
      }
    },
  };
}

type Program = ReturnType<typeof parse>;

function parseTemplate(path: string, source: string): Program {
  try {
    return parse(tokenize(source, { trim_blocks: true, lstrip_blocks: true }));
  } catch (cause) {
    throw refused(
      `the chat template in ${path} cannot be parsed: ${cause instanceof Error ? cause.message : cause}`,
      cause,
    );
  }
}

/** `bos_token`, `eos_token` and the others, as texts. */
function specialTokens(config: ModelFolder['config']): Record<string, string> {
  const named = Object.entries(config).flatMap(([name, token]) => {
    const text = name.endsWith('_token') ? tokenText(token) : undefined;
    return text === undefined ? [] : [[name, text]];
  });
  return Object.fromEntries(named);
}

function refused(message: string, cause?: unknown): ServiceError {
  return new ServiceError('fatal', message, { service: tokenizerService, cause });
}
