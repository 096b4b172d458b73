import { countBacktracks } from '../behaviour.ts';
import { nodeAt, terminals } from '../search/tree.ts';
import type { NarrationPhrases } from '../task.ts';
import type { TraceMove } from '../trace.ts';
import { type GivenAnswer, statesAnswer } from './answers.ts';
import type { TraceSource } from './narration.ts';

/** Why a narrated row is not trained on: counted in the funnel. */
export type NarrationFlaw =
  | 'narration: the final answer is not right'
  | 'narration: an answer is boxed before the last'
  | 'narration: goes back more or less often than planned'
  | 'narration: reflects more or less often than planned'
  | 'narration: a wrong answer was lost'
  | 'narration: the right answer was given away';

/**
 * The filter after rewriting (the paper's is not known; this is ours). A text passes when it still says what its plan
 * says: it ends right, every failed attempt still fails with its own answer, it goes back and reflects as often as
 * planned, and nothing written before the last branch gives the right answer away.
 */
export function narrationFlaw(
  { text, moves }: { text: string; moves: readonly TraceMove[] },
  source: TraceSource,
  phrases: NarrationPhrases,
): NarrationFlaw | null {
  const { plan, task, problem } = source;
  if (task.verify(problem, text).correct !== true) return 'narration: the final answer is not right';
  const answer = moves.find((move) => move.kind === 'answer');
  const before = text.slice(0, answer?.start);
  if (phrases.answerOpenings.some((opening) => before.includes(opening)))
    return 'narration: an answer is boxed before the last';

  const openings = count(text, phrases.backtrackOpening) + count(text, phrases.restartOpening);
  if (countBacktracks(text, task.phrases) !== plan.backtracks || openings !== plan.backtracks)
    return 'narration: goes back more or less often than planned';
  const positives = plan.events.filter(({ kind }) => kind === 'reflectPositive' || kind === 'reflectAnswer').length;
  if (count(text, phrases.positive) !== positives || count(text, phrases.reflection) !== positives + plan.backtracks)
    return 'narration: reflects more or less often than planned';

  const returns = moves.filter((move) => move.kind === 'backtrack' || move.kind === 'restart');
  for (const [i, attempt] of plan.answers.entries()) {
    if (attempt.correct) continue;
    const stretch = text.slice(returns[i - 1]?.end ?? 0, returns[i]?.start);
    if (!statesAnswer(stretch, [givenAnswer(source, attempt.node, attempt.answerClass)], task, problem))
      return 'narration: a wrong answer was lost';
  }
  return givesAway(text.slice(0, returns.at(-1)?.end ?? 0), moves, source)
    ? 'narration: the right answer was given away'
    : null;
}

/**
 * Whether the text up to the last return states a right answer that neither the problem nor the original steps of that
 * stretch state: only the narrator, who has seen more, can have put it there.
 */
function givesAway(before: string, moves: readonly TraceMove[], source: TraceSource): boolean {
  const { tree, task, problem } = source;
  const right = terminals(tree)
    .filter(({ terminal }) => terminal?.correct === true && terminal.answer !== undefined)
    .map(({ id, terminal }) => givenAnswer(source, id, task.answerClass(problem, terminal?.answer ?? '')));
  const states = (text: string) => statesAnswer(text, right, task, problem);
  if (!states(before) || states(task.statement(problem))) return false;
  const originals = moves
    .filter((move) => move.kind === 'step' && move.end <= before.length)
    .map((move) => nodeAt(tree.nodes, move.node).text);
  return !states(originals.join('\n'));
}

function givenAnswer({ tree }: TraceSource, node: number, answerClass: string): GivenAnswer {
  return { literal: nodeAt(tree.nodes, node).terminal?.answer ?? '', answerClass };
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}
