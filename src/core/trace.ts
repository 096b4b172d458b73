import type { TraceEvent, TracePlan } from './linearize.ts';
import type { Problem } from './problem.ts';
import { nodeAt, stepsTo } from './search/tree.ts';
import type { SearchTree } from './search/types.ts';
import type { Task } from './task.ts';

/** One event's stretch of the text: `text.slice(start, end)`. */
export interface TraceMove {
  kind: TraceEvent['kind'];
  /** The node shown, or the one gone back to. */
  node: number;
  start: number;
  end: number;
}

/**
 * A plan as the text of one chain of thought, by the task's templates (procedure cloning, Sec. 2.4). The prompt is not
 * part of it. The moves cover the text without gaps.
 */
export function renderTrace(
  plan: TracePlan,
  tree: SearchTree,
  task: Task,
  problem: Problem,
): { text: string; moves: TraceMove[] } {
  const moves: TraceMove[] = [];
  let text = '';
  for (const event of plan.events) {
    const start = text.length;
    text += eventText(event, plan, tree, task, problem);
    moves.push({ kind: event.kind, node: nodeOf(event), start, end: text.length });
  }
  return { text, moves };
}

/** The node an event shows, or the one it goes back to. */
export function nodeOf(event: TraceEvent): number {
  return event.kind === 'restart' ? 0 : event.kind === 'backtrack' ? event.to : event.node;
}

/** One event by the task's templates. */
export function eventText(
  event: TraceEvent,
  plan: Pick<TracePlan, 'answers'>,
  tree: SearchTree,
  task: Task,
  problem: Problem,
): string {
  const { phrases } = task;
  switch (event.kind) {
    case 'step': {
      const { text } = nodeAt(tree.nodes, event.node);
      const isFailed = plan.answers.some((answer) => answer.node === event.node && !answer.correct);
      return isFailed ? phrases.withoutAnswer(text) : text;
    }
    case 'answer':
      return nodeAt(tree.nodes, event.node).text;
    case 'reflectPositive':
      return phrases.reflectPositive(problem, stepsTo(tree, event.node));
    case 'reflectAnswer':
      return phrases.reflectAnswer?.(problem) ?? '';
    case 'backtrack':
      return phrases.backtrack(problem, stepsTo(tree, event.to));
    case 'restart':
      return phrases.restart(problem);
  }
}
