import type { Message } from '../problem.ts';

/** The prompts of the language stage, each a file that a person can edit. */
export type PromptName = 'judge' | 'step' | 'backtrack' | 'restart';

/** Contents of the prompt files, as they were read. */
export type PromptTexts = Partial<Record<PromptName, string>>;

/** What a prompt must say to be of use, and what else it may. */
const placeholders: Record<PromptName, { needed: readonly string[]; allowed: readonly string[] }> = {
  judge: { needed: ['problem', 'solution'], allowed: [] },
  step: { needed: ['text', 'step'], allowed: ['problem'] },
  backtrack: { needed: ['text', 'target'], allowed: ['problem'] },
  restart: { needed: ['text'], allowed: ['problem'] },
};

const PLACEHOLDER = /\{\{\s*([A-Za-z_]+)\s*\}\}/g;
const SECTION = /^# (System|User|Assistant)[ \t]*$/gm;

/**
 * A prompt file as messages: one for each section `# System`, `# User` or `# Assistant`; several of the latter two are
 * worked examples. What stands before the first section is a note for people and is not sent.
 */
function sections(text: string): Message[] {
  const heads = [...text.replaceAll('\r\n', '\n').matchAll(SECTION)];
  return heads.map((head, i) => ({
    role: (head[1] as string).toLowerCase() as Message['role'],
    content: head.input.slice(head.index + head[0].length, heads[i + 1]?.index).trim(),
  }));
}

/** Everything wrong with a prompt file, in words; none when it can be used. */
export function promptProblems(name: PromptName, text: string): string[] {
  const messages = sections(text);
  const problems: string[] = [];
  if (messages.at(-1)?.role !== 'user') problems.push('its last section must be "# User": what the model answers');
  if (messages.some(({ role }, i) => role === 'system' && i > 0))
    problems.push('"# System" can only be the first section');
  if (messages.some(({ content }) => content === '')) problems.push('a section is empty');
  const used = new Set(
    messages.flatMap(({ content }) => [...content.matchAll(PLACEHOLDER)].map((m) => m[1] as string)),
  );
  const { needed, allowed } = placeholders[name];
  const known = [...needed, ...allowed];
  for (const placeholder of used) {
    if (!known.includes(placeholder))
      problems.push(`unknown placeholder {{${placeholder}}}: use ${known.map((one) => `{{${one}}}`).join(', ')}`);
  }
  for (const placeholder of needed) {
    if (!used.has(placeholder)) problems.push(`the placeholder {{${placeholder}}} is missing`);
  }
  return problems;
}

/**
 * The messages of a prompt that `promptProblems` found nothing wrong with. Values go in as they are: what looks like a
 * placeholder inside one stays.
 */
export function fillPrompt(text: string, values: Record<string, string>): Message[] {
  return sections(text).map(({ role, content }) => ({
    role,
    content: content.replace(PLACEHOLDER, (whole, name: string) => values[name] ?? whole),
  }));
}
