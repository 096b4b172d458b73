import type { LogEntry } from '@temporalio/worker';
import { type Identity, identityOf } from '../core/identity.ts';

export type LogFormat = 'text' | 'json';

/** One line of log, without its line break. */
export type LogFormatter = (entry: LogEntry) => string;

/** Of what the SDK attaches, under the names that a line has here, in the order of the line. */
const facts = [
  ['workflowId', 'workflowId'],
  ['runId', 'runId'],
  // Of its workflow, as an activity calls it.
  ['workflowRunId', 'runId'],
  ['activityType', 'activity'],
  ['attempt', 'attempt'],
  ['taskQueue', 'queue'],
] as const;

/** Told by others already, or for machines only. */
const left = new Set(['workflowType', 'activityId', 'taskToken', 'sdkComponent', 'namespace', 'isLocal', 'error']);

/**
 * Lines of the worker's log: what is said, and what it is about. Run, stage, arm and problem follow from the workflow's
 * id where whoever logs did not say them.
 */
export function logFormatter(format: LogFormat): LogFormatter {
  return format === 'json' ? (entry) => JSON.stringify(factsOf(entry), plainly) : toText;
}

/** @throws Error naming the variable */
export function logFormatOf(env: NodeJS.ProcessEnv): LogFormat {
  const format = env.ASTROFLOW_LOG_FORMAT || 'text';
  if (format === 'text' || format === 'json') return format;
  throw new Error(`ASTROFLOW_LOG_FORMAT is ${JSON.stringify(format)}: use "json" or "text"`);
}

function toText(entry: LogEntry): string {
  const { time, level, message, error, ...rest } = factsOf(entry);
  const pairs = Object.entries(rest).map(([name, value]) => `${name}=${inText(value)}`);
  const head = [time, level.padEnd(5), message, ...pairs].join(' ');
  return error === undefined ? head : `${head}\n${error.stack ?? error.message}`;
}

interface Facts extends Identity {
  time: string;
  level: string;
  message: string;
  error?: { type: string; message: string; stack?: string };
  [fact: string]: unknown;
}

function factsOf({ level, timestampNanos, message, meta = {} }: LogEntry): Facts {
  const given = meta as Record<string, unknown>;
  const { workflowId, workflowType, error } = given;
  const isOfWorkflow = typeof workflowId === 'string' && typeof workflowType === 'string';
  const identity = isOfWorkflow ? identityOf(workflowId, workflowType) : {};
  const renamed = facts.flatMap(([from, to]) => (given[from] === undefined ? [] : [[to, given[from]] as const]));
  const known = new Set<string>(facts.map(([from]) => from));
  const others = Object.entries(given).filter(([name]) => !known.has(name) && !left.has(name));
  return {
    time: new Date(Number(timestampNanos / 1_000_000n)).toISOString(),
    level,
    message,
    ...identity,
    ...Object.fromEntries([...renamed, ...others]),
    ...(error !== undefined && { error: errorFacts(error) }),
  };
}

function errorFacts(error: unknown): NonNullable<Facts['error']> {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const type = 'type' in error && typeof error.type === 'string' ? error.type : error.name;
  return { type, message: error.message, ...(error.stack !== undefined && { stack: error.stack }) };
}

/** Words as they are, anything with spaces or quotes as JSON: a line can be split again. */
function inText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, plainly) ?? 'undefined');
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function plainly(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
