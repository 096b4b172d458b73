import { ActivityCancellationDetails, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { attempt } from '../../src/activities/boundary.ts';
import { failure, toFailure } from '../../src/activities/failures.ts';
import { failureTypes, nonRetryableFailureTypes } from '../../src/core/failures.ts';
import { ServiceError, type ServiceErrorKind } from '../../src/services/errors.ts';
import { CorruptArtifact, NewerArtifact } from '../../src/services/store/store.ts';
import { mockEnvironment } from '../support/lab.ts';

describe('what Temporal sees of a service’s error', () => {
  it.each<[ServiceErrorKind, string, boolean]>([
    ['retryable', 'ServiceUnavailable', false],
    ['ambiguous', 'ServiceUnavailable', false],
    ['paused', 'ServiceUnavailable', false],
    ['lost', 'ServiceLostState', false],
    ['expired', 'CheckpointLost', true],
    ['fatal', 'ServiceRefused', true],
  ])('%s is %s, never retried: %s', (kind, type, nonRetryable) => {
    const seen = toFailure(new ServiceError(kind, 'it broke', { service: 'sampler', status: 500 }));
    expect(seen).toBeInstanceOf(ApplicationFailure);
    expect(seen).toMatchObject({ type, nonRetryable, message: 'it broke', nextRetryDelay: undefined });
    expect((seen as ApplicationFailure).details).toEqual([{ service: 'sampler', status: 500 }]);
  });

  it('waits as long as the service asks', () => {
    const asked = new ServiceError('retryable', 'slow down', { service: 'sampler', status: 429, retryAfterMs: 7_000 });
    expect(toFailure(asked)).toMatchObject({ type: 'ServiceUnavailable', nextRetryDelay: 7_000 });
    const hours = new ServiceError('retryable', 'later', {
      service: 'sampler',
      status: 429,
      retryAfterMs: 3 * 3600_000,
    });
    expect(toFailure(hours)).toMatchObject({ nextRetryDelay: 600_000 });
  });

  it('takes no wait at all as a reason to wait as usual: a server that is told 0 does not retry', () => {
    const atOnce = new ServiceError('retryable', 'busy', { service: 's', status: 429, retryAfterMs: 0 });
    expect(toFailure(atOnce)).toMatchObject({ nonRetryable: false, nextRetryDelay: undefined });
  });

  it('lets the next attempt read what a newer release stored', () => {
    expect(toFailure(new NewerArtifact('x is astroflow.plan/9'))).toMatchObject({
      type: 'NewerArtifact',
      nonRetryable: false,
    });
  });

  it('is final for bytes that do not match their hash', () => {
    const seen = toFailure(new CorruptArtifact('search/x/tree.json is damaged'));
    expect(seen).toMatchObject({ type: 'CorruptArtifact', nonRetryable: true });
  });

  it('stays what it is when it is a failure already, or a bug', () => {
    const known = failure('MissingInput', 'run that first');
    const bug = new TypeError('undefined is not a function');
    const cancelled = new CancelledFailure('cancelled');
    expect([known, bug, cancelled].map(toFailure)).toEqual([known, bug, cancelled]);
  });
});

describe('the table of failure types', () => {
  it('decides in one place what is retried', () => {
    for (const type of Object.keys(failureTypes) as (keyof typeof failureTypes)[]) {
      expect(failure(type, 'x').nonRetryable).toBe(!failureTypes[type].retry);
      expect(nonRetryableFailureTypes.includes(type)).toBe(!failureTypes[type].retry);
    }
  });
});

describe('an activity’s boundary', () => {
  it('reports progress as heartbeat details', async () => {
    const environment = mockEnvironment(3);
    const beats: unknown[] = [];
    environment.on('heartbeat', (details) => beats.push(details));
    const seen = await environment.run(() =>
      attempt(async (at) => {
        at.report({ phase: 'train', done: 1, total: 2 });
        return at.number;
      }),
    );
    expect(seen).toBe(3);
    expect(beats).toEqual([{ phase: 'train', done: 1, total: 2 }]);
  });

  it('names the call in flight, counts tokens, and says how the service is used', async () => {
    const environment = mockEnvironment();
    const beats: unknown[] = [];
    environment.on('heartbeat', (details) => beats.push(details));
    const load = { limit: 8, inFlight: 2, waiting: 1, paused: false };
    await environment.run(() =>
      attempt(async (at) => {
        const answered = async (callId: string, completionTokens: number) => {
          at.report({ phase: 'sample' });
          return { callId, usage: { calls: 1, promptTokens: 1, completionTokens } };
        };
        await at.call(
          'a',
          () => load,
          () => answered('a', 5),
        );
        await at.call(
          'b',
          () => null,
          () => answered('b', 7),
        );
        const failing = () => Promise.reject(new Error('it broke'));
        await at.call('c', () => load, failing).catch(() => {});
        at.report({ phase: 'store', done: 1, total: 2 });
      }),
    );
    expect(beats).toEqual([
      { phase: 'sample', callId: 'a', service: load },
      { phase: 'sample', callId: 'b', tokens: 5, unsaved: { calls: 1, promptTokens: 1, completionTokens: 5 } },
      {
        ...{ phase: 'store', done: 1, total: 2, tokens: 12 },
        unsaved: { calls: 2, promptTokens: 2, completionTokens: 12 },
      },
    ]);
  });

  it.each([
    ['an operator cancels', { cancelRequested: true }, ['stopped']],
    ['the worker shuts down', { workerShutdown: true }, []],
    ['the attempt timed out', { timedOut: true }, []],
    ['the activity was paused', { paused: true }, []],
  ])('stops what runs elsewhere only when it must: %s', async (_name, why, expected) => {
    const environment = mockEnvironment();
    const did: string[] = [];
    const running = environment.run(() =>
      attempt((at) => {
        at.onCancel(async () => void did.push('stopped'));
        at.onCancel(() => Promise.reject(new Error('nobody there')));
        return new Promise((_, reject) => at.signal.addEventListener('abort', () => reject(at.signal.reason)));
      }),
    );
    const reason = 'workerShutdown' in why ? 'WORKER_SHUTDOWN' : 'CANCELLED';
    environment.cancel(reason, new ActivityCancellationDetails(why));
    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
    expect(did).toEqual(expected);
  });

  it('ends as cancelled, whatever the aborted call throws', async () => {
    const environment = mockEnvironment();
    const running = environment.run(() =>
      attempt(
        (at) =>
          new Promise((_, reject) => {
            at.signal.addEventListener('abort', () => reject(new Error('socket hang up')));
          }),
      ),
    );
    environment.cancel();
    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
  });

  it('translates errors of services', async () => {
    const refused = () => Promise.reject(new ServiceError('fatal', 'no such model', { service: 'sampler' }));
    await expect(mockEnvironment().run(() => attempt(refused))).rejects.toMatchObject({
      type: 'ServiceRefused',
    });
  });
});
