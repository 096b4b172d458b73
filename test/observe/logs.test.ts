import type { LogEntry } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { logFormatOf, logFormatter } from '../../src/observe/logs.ts';

const about = {
  workflowId: 'astro/demo/search/p-12',
  workflowType: 'searchProblem',
  runId: '0190-aa',
  activityType: 'searchRounds',
  activityId: '3',
  attempt: 2,
  taskQueue: 'astro-sample',
  namespace: 'default',
  taskToken: 'AAAA',
};

function entry(message: string, meta?: Record<string, unknown>): LogEntry {
  return { level: 'WARN', timestampNanos: 1_767_225_600_123_456_789n, message, ...(meta && { meta }) } as LogEntry;
}

describe('a log line as JSON', () => {
  const line = logFormatter('json');

  it('says run, stage and problem, and where in Temporal', () => {
    expect(JSON.parse(line(entry('Activity failed', about)))).toEqual({
      time: '2026-01-01T00:00:00.123Z',
      level: 'WARN',
      message: 'Activity failed',
      run: 'demo',
      stage: 'search',
      problem: 'p-12',
      workflowId: 'astro/demo/search/p-12',
      runId: '0190-aa',
      activity: 'searchRounds',
      attempt: 2,
      queue: 'astro-sample',
    });
  });

  it('believes what was said about run, stage, arm and problem over the id', () => {
    const said = { run: 'named', stage: 'rl', arm: 'direct', problem: 'other' };
    expect(JSON.parse(line(entry('x', { ...about, ...said })))).toMatchObject(said);
  });

  it('is one line, whatever is in it', () => {
    const error = Object.assign(new Error('two\nlines'), { type: 'ServiceUnavailable' });
    const text = line(entry('a\nb "c"', { ...about, error, big: 12n, nested: { of: new Error('inner') } }));
    expect(text).not.toContain('\n');
    expect(JSON.parse(text)).toMatchObject({
      message: 'a\nb "c"',
      big: '12',
      error: { type: 'ServiceUnavailable', message: 'two\nlines', stack: expect.stringContaining('logs.test') },
    });
  });

  it('needs no attributes', () => {
    expect(JSON.parse(line(entry('Worker state changed')))).toEqual({
      time: '2026-01-01T00:00:00.123Z',
      level: 'WARN',
      message: 'Worker state changed',
    });
  });
});

describe('a log line as text', () => {
  it('has the same facts, readable', () => {
    const text = logFormatter('text')(entry('Activity failed', { ...about, note: 'took long' }));
    expect(text).toBe(
      '2026-01-01T00:00:00.123Z WARN  Activity failed run=demo stage=search problem=p-12 ' +
        'workflowId=astro/demo/search/p-12 runId=0190-aa activity=searchRounds attempt=2 queue=astro-sample ' +
        'note="took long"',
    );
  });

  it('shows where an error came from', () => {
    const [head, ...stack] = logFormatter('text')(entry('oh', { error: new TypeError('no') })).split('\n');
    expect(head).toBe('2026-01-01T00:00:00.123Z WARN  oh');
    expect(stack[0]).toBe('TypeError: no');
    expect(stack.length).toBeGreaterThan(1);
  });
});

describe('ASTROFLOW_LOG_FORMAT', () => {
  it('is text where nothing is said', () => {
    expect([logFormatOf({}), logFormatOf({ ASTROFLOW_LOG_FORMAT: '' })]).toEqual(['text', 'text']);
    expect(logFormatOf({ ASTROFLOW_LOG_FORMAT: 'json' })).toBe('json');
  });

  it('is refused with its name where it is something else', () => {
    expect(() => logFormatOf({ ASTROFLOW_LOG_FORMAT: 'xml' })).toThrow('ASTROFLOW_LOG_FORMAT is "xml"');
  });
});
