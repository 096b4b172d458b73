import type { TraceEvent, TracePlan } from '../linearize.ts';
import type { Problem } from '../problem.ts';
import { stepsTo } from '../search/tree.ts';
import type { SearchTree } from '../search/types.ts';
import type { NarrationPhrases, Task } from '../task.ts';
import { eventText } from '../trace.ts';
import type { PromptName } from './prompt.ts';
import type { WrittenText } from './votes.ts';

/** What a trace is made from. */
export interface TraceSource {
  plan: TracePlan;
  tree: SearchTree;
  task: Task;
  problem: Problem;
}

/** One event of a plan on its way to text (procedure cloning in language, Sec. 2.4). */
export interface Piece {
  /** What the task's templates write: the text of a fixed event, and of one whose narrator gave nothing usable. */
  template: string;
  /** What a narrator is asked; null: the event's text is fixed. */
  ask: null | {
    prompt: Exclude<PromptName, 'judge'>;
    values: Record<string, string>;
    /** Times to ask: a step's rewriting is asked for once more before its original text stands. */
    tries: 1 | 2;
  };
}

/**
 * A narrator sees at most this much of the text so far, its end: about 4,000 tokens. It continues the last lines, and
 * the step it goes back to is shown to it, so what lies further back is not worth a refusal for its length.
 */
const CONTEXT_CHARACTERS = 12_000;

/** A sentence that says where to go back to is one sentence. */
const MOST_SENTENCE_CHARACTERS = 400;

/** What an event needs, given the text before it. */
export function pieceOf(event: TraceEvent, source: TraceSource, sofar: string): Piece {
  const { plan, tree, task, problem } = source;
  const template = eventText(event, plan, tree, task, problem);
  const context = { problem: task.statement(problem), text: endOf(sofar) };
  switch (event.kind) {
    case 'step':
    case 'answer': {
      const step = template.trim();
      // A blank step separates others; there is nothing to say about it.
      if (step === '') return { template, ask: null };
      return { template, ask: { prompt: 'step', values: { ...context, step }, tries: 2 } };
    }
    case 'backtrack': {
      const target = (stepsTo(tree, event.to).at(-1) ?? '').trim();
      return { template, ask: { prompt: 'backtrack', values: { ...context, target }, tries: 1 } };
    }
    case 'restart':
      return { template, ask: { prompt: 'restart', values: context, tries: 1 } };
    case 'reflectPositive':
    case 'reflectAnswer':
      return { template, ask: null };
  }
}

/** An answer to a piece's ask as the event's text; null when it cannot be used. */
export function narrated(piece: Piece, answer: WrittenText, phrases: NarrationPhrases): string | null {
  const body = answerOf(answer);
  if (body === null || body === '') return null;
  switch (piece.ask?.prompt) {
    case 'step': {
      if (markersOf(phrases).some((marker) => holds(body, marker))) return null;
      // Steps carry their own separators: those of the original stay.
      const step = piece.template.trim();
      const start = piece.template.indexOf(step);
      return piece.template.slice(0, start) + body + piece.template.slice(start + step.length);
    }
    case 'backtrack':
      return sentence(body, phrases.backtrackOpening, phrases);
    case 'restart':
      return sentence(body, phrases.restartOpening, phrases);
    case undefined:
      return null;
  }
}

/** Sentences that stand in a trace only where its plan says so. */
export function markersOf(phrases: NarrationPhrases): string[] {
  const { reflection, positive, negative, backtrackOpening, restartOpening } = phrases;
  return [reflection, positive, negative, backtrackOpening, restartOpening];
}

function sentence(body: string, opening: string, phrases: NarrationPhrases): string | null {
  const plain = body.replaceAll('’', "'");
  if (!plain.startsWith(opening) || plain.includes('\n') || plain.length > MOST_SENTENCE_CHARACTERS) return null;
  const rest = plain.slice(opening.length);
  const isOff = [...markersOf(phrases), ...phrases.answerOpenings].some((marker) => holds(rest, marker));
  return isOff ? null : phrases.goBack(plain);
}

/** What stands between `<text>` and `</text>`, or all that follows a model's thinking; null when it was cut off. */
function answerOf({ text, stopReason }: WrittenText): string | null {
  const opening = ['<text>', '</think>'].find((tag) => text.includes(tag));
  const inside = opening === undefined ? text : text.slice(text.lastIndexOf(opening) + opening.length);
  const end = inside.indexOf('</text>');
  if (end < 0 && stopReason === 'length') return null;
  return (end < 0 ? inside : inside.slice(0, end)).trim();
}

function endOf(text: string): string {
  if (text.length <= CONTEXT_CHARACTERS) return text.trim() || '(nothing yet)';
  const tail = text.slice(-CONTEXT_CHARACTERS);
  return `…${tail.slice(tail.indexOf('\n') + 1).trim()}`;
}

function holds(text: string, marker: string): boolean {
  return text.replaceAll('’', "'").toLowerCase().includes(marker.toLowerCase());
}
