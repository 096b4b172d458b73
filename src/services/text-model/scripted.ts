import type { WrittenText } from '../../core/language/votes.ts';
import { createRandom, deriveSeed, type Random } from '../../core/seed.ts';
import { memoryJournal } from '../scripted/journal.ts';
import type { TextModel } from './text-model.ts';

/** How the script passes from one step to the next; a step keeps every word of its own but its heading's number. */
const OPENINGS = ['', 'Now we go on. ', 'Let us look at this next. ', 'From here we see the following. '];
const HEADING = /^#+ *Step \d+:? */i;

/**
 * A judge and narrator without a model, for tests: knows the shipped prompts by the sections they are given in
 * (`<solution>`, `<step>`, `<target>`), approves of most solutions, and keeps all mathematics. What it writes depends
 * only on the messages and the seed. It keeps its journal in memory.
 */
export function scriptedTextModel(): TextModel {
  const journal = memoryJournal();
  return {
    name: 'scripted',
    async ask(request, signal) {
      signal.throwIfAborted();
      const random = createRandom(deriveSeed('scripted', request.seed, JSON.stringify(request.messages)));
      const prompt = request.messages.at(-1)?.content ?? '';
      const texts = scriptedWriting(prompt, request.n, random).map((text) => cut(text, request.maxTokens));
      const completionTokens = texts.reduce((sum, { text }) => sum + tokensIn(text), 0);
      const promptTokens = request.messages.reduce((sum, { content }) => sum + tokensIn(content), 0);
      journal.add(request, { promptTokens, completionTokens });
      return { texts, usage: { calls: 1, promptTokens, completionTokens } };
    },
    served: journal.served,
    journal: journal.journal,
  };
}

/** n answers to a prompt of the language stage, whatever a chat template put around it. */
export function scriptedWriting(prompt: string, n: number, random: Random): string[] {
  const step = section(prompt, 'step');
  const target = section(prompt, 'target');
  const isJudged = section(prompt, 'solution') !== null;
  // Most solutions please every voter; the others divide them.
  const divides = isJudged && random.int(8) === 0;
  return Array.from({ length: n }, () => {
    if (isJudged) return `Each step was looked at.\n\nVERDICT: ${divides && random.int(2) === 0 ? 'bad' : 'good'}`;
    if (step !== null) return tagged(random.pick(OPENINGS) + step.replace(HEADING, ''));
    if (target !== null) return tagged(`Let's go back to where we had "${firstLine(target)}".`);
    return tagged("Let's restart our solution from the beginning and take another way.");
  });
}

/** What stands between a tag's last opening in the prompt and its closing; null without it. */
function section(prompt: string, tag: string): string | null {
  const start = prompt.lastIndexOf(`<${tag}>`);
  const end = prompt.lastIndexOf(`</${tag}>`);
  return start < 0 || end < start ? null : prompt.slice(start + tag.length + 2, end).trim();
}

function firstLine(text: string): string {
  return text.replace(HEADING, '').split('\n', 1)[0] ?? '';
}

function tagged(text: string): string {
  return `<text>\n${text}\n</text>`;
}

/** Words and the spaces before them stand for tokens. */
function cut(text: string, maxTokens: number): WrittenText {
  const words = text.match(/\s*\S+/g) ?? [];
  if (words.length <= maxTokens) return { text, stopReason: 'stop' };
  return { text: words.slice(0, maxTokens).join(''), stopReason: 'length' };
}

function tokensIn(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}
