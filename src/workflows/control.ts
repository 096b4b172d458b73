import {
  ActivityFailure,
  ChildWorkflowFailure,
  condition,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { OnFailure } from '../config/plan.ts';
import { isWorthAsking } from '../core/failures.ts';
import { type Attention, type Resolution, resolutions } from '../core/progress.ts';
import { failureType, typedMessage } from './failures.ts';
import { ownLabels, workflowMetrics } from './metrics.ts';
import { markAttention } from './search-attributes.ts';

export const pauseUpdate = defineUpdate('pause');
export const resumeUpdate = defineUpdate('resume');
export const resolveUpdate = defineUpdate<void, [{ action: Resolution }]>('resolve');
/** From a workflow to the ones it started. */
export const setPausedSignal = defineSignal<[boolean]>('setPaused');
export const answerSignal = defineSignal<[{ action: Resolution; sinceMs: number }]>('answer');

export type Question = Omit<Attention, 'sinceMs'>;
export type Control = ReturnType<typeof createControl>;

/**
 * What a person can do to a running workflow: pause it, resume it, and answer where a step failed for good. A parent
 * relays all three to the children it has adopted. Nothing here adds a command to a history, or a turn to a promise,
 * before somebody pauses or a step fails: runs that began without it replay.
 *
 * To be created before the first `await`, so that no update finds a workflow without handlers.
 */
export function createControl(input: unknown) {
  let paused = typeof input === 'object' && input !== null && 'paused' in input && input.paused === true;
  let asks = false;
  /** What this workflow itself asks; steps that fail meanwhile share the question and its answer. */
  let own: { attention: Attention; action?: Resolution } | undefined;
  let aborted = false;
  let lastAskedMs = 0;
  let show = () => {};
  const children = new Map<string, Child>();

  const questions = () =>
    [own?.attention, ...[...children.values()].map((child) => child.asked)].filter((asked) => asked !== undefined);
  const state = () => (questions().length > 0 ? 'attention' : paused ? 'paused' : 'running');

  function changed(): void {
    markAttention(questions().length > 0);
    show();
  }

  function setPaused(value: boolean): void {
    if (paused === value) return;
    paused = value;
    changed();
    for (const id of children.keys()) void relayPause(id).catch(() => {});
  }

  /**
   * One signal at a time, until the child has been told what holds now: two under way could overtake each other. A child
   * that has been asked for but has not begun cannot be signalled yet.
   */
  async function relayPause(id: string): Promise<void> {
    const child = children.get(id);
    if (child === undefined || child.relaying) return;
    child.relaying = true;
    for (let told: boolean | undefined; told !== paused && children.get(id) === child; ) {
      const value = paused;
      try {
        await getExternalWorkflowHandle(id).signal(setPausedSignal, value);
        told = value;
      } catch (error) {
        if (isCancellation(error)) return;
        await sleep('1 second');
      }
    }
    child.relaying = false;
  }

  function settle(action: Resolution): void {
    if (own !== undefined) own.action = action;
    own = undefined;
    aborted ||= action === 'abort';
    for (const [id, child] of children) {
      if (child.asked === undefined) continue;
      const { sinceMs } = child.asked;
      child.asked = undefined;
      child.settledMs = sinceMs;
      // A child that has ended since needs no answer.
      void getExternalWorkflowHandle(id)
        .signal(answerSignal, { action, sinceMs })
        .catch(() => {});
    }
    changed();
  }

  setHandler(pauseUpdate, () => setPaused(true), {
    description: 'Begin nothing new: what is under way finishes, then the run waits for `resume`',
  });
  setHandler(resumeUpdate, () => setPaused(false), { description: 'Go on after `pause`' });
  setHandler(resolveUpdate, ({ action }) => settle(action), {
    validator: (request) => refuseUnlessAsked(request, questions()),
    description: 'Answer where the run asks for attention: { "action": "retry" | "skip" | "abort" }',
  });
  setHandler(setPausedSignal, setPaused, { description: '`pause` and `resume` as a parent relays them' });
  setHandler(
    answerSignal,
    ({ action, sinceMs }) => {
      // An answer to a question of before must not meet the one of now.
      if (questions().some((question) => question.sinceMs === sinceMs)) settle(action);
    },
    { description: '`resolve` as a parent relays it' },
  );

  /** Puts a failed step before a person; gives the answer. */
  async function ask(question: Question): Promise<Resolution> {
    if (aborted) return 'abort';
    if (own === undefined) {
      lastAskedMs = Math.max(Date.now(), lastAskedMs + 1);
      own = { attention: { ...question, sinceMs: lastAskedMs } };
      workflowMetrics().add('astroflow_questions', 1, ownLabels());
      log.warn(`waits for a person: ${question.what}: ${question.why}`, { offers: Object.keys(question.offers) });
      changed();
    }
    const asked = own;
    await condition(() => asked.action !== undefined);
    return asked.action ?? 'abort';
  }

  async function guarded<T>(what: string, body: (again: boolean) => Promise<T>, options: StepOptions<T>): Promise<T> {
    const { isAsked = () => true, skip } = options;
    for (let again = false; ; again = true) {
      if (paused) await condition(() => !paused);
      try {
        return await body(again);
      } catch (error) {
        if (!asks || !isForPeople(error) || !isAsked(error)) throw error;
        const action = await ask({
          what,
          why: typedMessage(error),
          offers: {
            retry: 'tries again, going on from what is stored',
            ...(skip && { skip: skip.does }),
            abort: 'ends the run with this failure',
          },
          refuses: skip ? {} : { skip: 'what follows needs its result' },
        });
        if (action === 'abort' || (action === 'skip' && skip === undefined)) throw error;
        if (action === 'skip' && skip !== undefined) return skip.instead(error);
      }
    }
  }

  return {
    /** Called once the plan is known. */
    begin(onFailure: OnFailure | undefined, onChange: () => void): void {
      asks = onFailure === 'ask';
      show = onChange;
    },
    asks: () => asks,
    isPaused: () => paused,
    state,
    ask,

    /** Whether something new may be begun: nobody paused or aborted, and nothing waits for an answer. */
    isFree: () => state() === 'running' && !aborted,

    /**
     * One durable step: waits while the run is paused; where it fails for good, asks, and does it once more if told to.
     * `again` tells such a repetition: a live model that a failed attempt may have changed must not be used then.
     */
    step<T>(what: string, body: (again: boolean) => Promise<T>, options: StepOptions<T> = {}): Promise<T> {
      return asks || paused ? guarded(what, body, options) : body(false);
    },

    /** The oldest question of this workflow and its children. */
    attention: () => questions().toSorted((a, b) => a.sinceMs - b.sinceMs)[0],

    /** For the next run of a workflow that continues as new. */
    carried: () => (paused ? { paused } : {}),

    /** Relays to this child from now on, until it is dropped. */
    adopt(id: string): void {
      children.set(id, { settledMs: 0, relaying: false });
    },
    drop(id: string): void {
      children.delete(id);
      markAttention(questions().length > 0);
    },
    /** What a child asks by its latest news; news sent before its answer came do not ask again. */
    childAsks(id: string, attention: Attention | undefined): void {
      const child = children.get(id);
      if (child === undefined) return;
      child.asked = attention?.sinceMs === child.settledMs ? undefined : attention;
      markAttention(questions().length > 0);
    },
  } as const;
}

interface Child {
  asked?: Attention | undefined;
  /** Its last question that was answered. */
  settledMs: number;
  /** It is being told whether the run is paused. */
  relaying: boolean;
}

interface StepOptions<T> {
  /** Which of its failures are put before a person (all, if absent); the others are the caller's. */
  isAsked?: (error: unknown) => boolean;
  /** What skipping the step does, and what stands for its result then. Absent: it cannot be skipped. */
  skip?: { does: string; instead: (error: unknown) => T | Promise<T> };
}

/** An activity or child has failed for good, and something can still be done about it. */
function isForPeople(error: unknown): boolean {
  if (isCancellation(error) || !(error instanceof ActivityFailure || error instanceof ChildWorkflowFailure))
    return false;
  return isWorthAsking(failureType(error));
}

function refuseUnlessAsked(request: { action?: unknown } | undefined, questions: readonly Attention[]): void {
  const { action } = request ?? {};
  if (!resolutions.some((known) => known === action))
    throw new Error(`"action" must be one of ${resolutions.map((known) => `"${known}"`).join(', ')}`);
  if (questions.length === 0) throw new Error('nothing is asked: no step of this run has failed for good');
  for (const { what, offers, refuses } of questions) {
    if (offers[action as Resolution] !== undefined) continue;
    const others = Object.keys(offers).join(' or ');
    throw new Error(`${action} is not possible for ${what}: ${refuses[action as Resolution] ?? ''}; use ${others}`);
  }
}
