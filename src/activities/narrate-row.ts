import { type NarrationFlaw, narrationFlaw } from '../core/language/filter.ts';
import { narrated, type Piece, pieceOf } from '../core/language/narration.ts';
import { fillPrompt } from '../core/language/prompt.ts';
import type { TracePlan } from '../core/linearize.ts';
import type { NarrationPhrases, Task } from '../core/task.ts';
import { nodeOf, renderTrace, type TraceMove } from '../core/trace.ts';
import { failure } from './failures.ts';
import { promptOf, type TreeContext } from './role-calls.ts';

export interface NarratedRow {
  text: string;
  /** Events a narrator was asked for, and those of them that a template wrote in the end. */
  asked: number;
  fallbacks: number;
  /** Why the row cannot be used. */
  flaw: NarrationFlaw | null;
}

/**
 * One row's text, event by event, each given the text before it (Sec. 2.4); by templates where no model narrates. `id`
 * names the row inside its tree: `search-0`.
 */
export async function narrateRow(context: TreeContext, plan: TracePlan, id: string): Promise<NarratedRow> {
  const { task, stored } = context;
  const source = { plan, tree: stored.tree, task, problem: stored.problem };
  if (context.plan.roles.narrator === null) {
    const { text } = renderTrace(plan, stored.tree, task, stored.problem);
    return { text, asked: 0, fallbacks: 0, flaw: null };
  }
  const phrases = phrasesOf(task);
  const moves: TraceMove[] = [];
  let [text, asked, fallbacks] = ['', 0, 0];
  for (const [index, event] of plan.events.entries()) {
    context.report(`narrate ${id}`, index, plan.events.length);
    const piece = pieceOf(event, source, text);
    const written = await askFor(context, piece, `${id}-${index}`, phrases);
    if (piece.ask !== null) asked += 1;
    if (piece.ask !== null && written === null) fallbacks += 1;
    const start = text.length;
    text += written ?? piece.template;
    moves.push({ kind: event.kind, node: nodeOf(event), start, end: text.length });
  }
  return { text, asked, fallbacks, flaw: narrationFlaw({ text, moves }, source, phrases) };
}

/** What the narrator wrote for a piece; null when it was not asked, or gave nothing usable as often as it was. */
async function askFor(
  context: TreeContext,
  piece: Piece,
  id: string,
  phrases: NarrationPhrases,
): Promise<string | null> {
  const role = context.plan.roles.narrator;
  if (role === null || piece.ask === null) return null;
  const model = context.textModel(role.model);
  const { maxTokens, temperature } = role;
  const messages = fillPrompt(promptOf(context, piece.ask.prompt), piece.ask.values);
  for (const name of [id, `${id}-again`].slice(0, piece.ask.tries)) {
    const [answer] = await context.calls.ask('narrate', name, model, { messages, n: 1, maxTokens, temperature });
    const usable = answer === undefined ? null : narrated(piece, answer, phrases);
    if (usable !== null) return usable;
  }
  return null;
}

function phrasesOf(task: Task): NarrationPhrases {
  const { narration } = task.phrases;
  if (narration === undefined)
    throw failure('InvalidConfig', `the task "${task.name}" has no phrases for a narrator: leave "roles.narrator" out`);
  return narration;
}
