import { doneRate, elapsedMs, msLeft, shareOf, tokenRate } from '../core/pace.ts';
import type { Progress, StageProgress } from '../core/progress.ts';

/** How a run stands, for programs: `status --json`, each line of `watch --json`, and the live page. */
export interface RunStatus {
  schema: 'astroflow.status/1';
  run: string;
  workflowId: string;
  /** What the server says of the workflow: `running`, `completed`, `failed`, …. Null: no server was found that knows it. */
  status: string | null;
  /** Who told the stages: the workflow itself, or what is stored, which knows neither pauses nor questions. */
  source: 'workflow' | 'store';
  startedAt: string | null;
  endedAt: string | null;
  /** When this was asked. */
  at: string;
  paused: boolean;
  stages: StageStatus[];
  /** What waits for a person. */
  attention: AttentionStatus[];
  /** What the model calls cost so far; only where the books were read. */
  books?: BooksStatus;
}

/** The ledger's totals; prompts and completions together. */
export interface BooksStatus {
  creditedTokens: number;
  wastedTokens: number;
  /** Served, and not settled yet; null where nobody knows. */
  openTokens: number | null;
  /** A service keeps no journal: credit by what is stored, and at least so much wasted. */
  estimated: boolean;
  /** Calls by reason. */
  wastedCalls: Record<string, number>;
}

export interface StageStatus
  extends Pick<StageProgress, 'name' | 'arm' | 'state' | 'done' | 'total' | 'unit' | 'tokens' | 'note' | 'policy'> {
  /** In [0, 1]. */
  share: number;
  elapsedSeconds: number | null;
  secondsLeft: number | null;
  perSecond: number | null;
  tokensPerSecond: number | null;
}

export interface AttentionStatus {
  /** Absent where the run as a whole is stuck. */
  stage?: string;
  what: string;
  why?: string;
  since?: string;
  /** What can be answered: the command to type, and what it does. */
  answers: { command: string; effect: string }[];
  /** Answers that are not possible, and why. */
  refused: { action: string; reason: string }[];
}

export interface StatusSource {
  progress: Progress;
  workflowId: string;
  status: string | null;
  source: RunStatus['source'];
  startedAtMs: number | null;
  endedAtMs: number | null;
  nowMs: number;
}

export function runStatus(input: StatusSource): RunStatus {
  const { progress, workflowId, nowMs } = input;
  const address = addressOf({ run: progress.run, workflowId });
  return {
    schema: 'astroflow.status/1',
    run: progress.run,
    workflowId,
    status: input.status,
    source: input.source,
    startedAt: isoTime(input.startedAtMs),
    endedAt: isoTime(input.endedAtMs),
    at: new Date(nowMs).toISOString(),
    paused: progress.paused ?? false,
    stages: progress.stages.map((stage) => stageStatus(stage, nowMs)),
    attention: [
      ...(progress.attention === undefined ? [] : [{ what: progress.attention, answers: [], refused: [] }]),
      ...progress.stages.flatMap((stage) => questionOf(stage, address)),
    ],
  };
}

export function isFinished({ stages }: RunStatus): boolean {
  return stages.length > 0 && stages.every(({ state }) => state === 'done' || state === 'reused');
}

/** What a command takes: the run's name, or the whole id of a stage that was started alone. */
export function addressOf({ run, workflowId }: { run: string; workflowId?: string | undefined }): string {
  return workflowId === undefined || workflowId === `astro/${run}` ? run : workflowId;
}

/** A stage's name for people: `rl search`. */
export function stageLabel({ name, arm }: Pick<StageProgress, 'name' | 'arm'>): string {
  return arm === undefined ? name : `${name} ${arm}`;
}

function stageStatus(stage: StageProgress, nowMs: number): StageStatus {
  const { name, arm, state, done, total, unit, tokens, note, policy } = stage;
  return {
    name,
    ...(arm !== undefined && { arm }),
    state,
    done,
    total,
    unit,
    tokens,
    ...(note !== undefined && { note }),
    ...(policy !== undefined && { policy }),
    share: shareOf(stage),
    elapsedSeconds: seconds(elapsedMs(stage, nowMs)),
    secondsLeft: seconds(msLeft(stage, nowMs)),
    perSecond: doneRate(stage, nowMs),
    tokensPerSecond: tokenRate(stage, nowMs),
  };
}

function questionOf(stage: StageProgress, address: string): AttentionStatus[] {
  if (stage.state !== 'attention' || stage.attention === undefined) return [];
  const { what, why, sinceMs, offers, refuses } = stage.attention;
  return [
    {
      stage: stageLabel(stage),
      what,
      why,
      since: new Date(sinceMs).toISOString(),
      answers: Object.entries(offers).map(([action, effect]) => ({
        command: `npx astroflow resolve ${address} ${action}`,
        effect,
      })),
      refused: Object.entries(refuses).map(([action, reason]) => ({ action, reason })),
    },
  ];
}

const seconds = (ms: number | null) => (ms === null ? null : Math.round(ms) / 1000);
const isoTime = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
