import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { type Attempt, attempt, type HeartbeatDetails } from '../../src/activities/boundary.ts';
import { recordedMetrics } from '../support/recorded-metrics.ts';

const usage = { calls: 1, promptTokens: 10, completionTokens: 5 };

async function run(
  body: (at: Attempt) => Promise<unknown>,
  info: { attempt?: number; heartbeatDetails?: unknown } = {},
) {
  const { meter, recorded } = recordedMetrics();
  const beats: HeartbeatDetails[] = [];
  const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR'), metricMeter: meter });
  environment.on('heartbeat', (details) => beats.push(details as HeartbeatDetails));
  await environment.run(() => attempt(body)).catch(() => {});
  const settled = (result: string) =>
    recorded
      .filter(({ name, tags, value }) => name === 'astroflow_settled_tokens' && tags.result === result && value > 0)
      .map(({ value, tags }) => [tags.kind, value]);
  return { recorded, beats, credited: settled('credited'), wasted: settled('wasted') };
}

const answered = (at: Attempt) =>
  at.call(
    'a',
    () => null,
    async () => ({ usage }),
  );

describe('what an attempt was answered', () => {
  it('is credited when it has stored it, and once', async () => {
    const { credited, wasted } = await run(async (at) => {
      await answered(at);
      at.stored();
    });
    expect([credited, wasted]).toEqual([
      [
        ['prompt', 10],
        ['completion', 5],
      ],
      [],
    ]);
  });

  it('is credited when its activity returns, which has stored it then', async () => {
    const { credited, wasted } = await run(answered);
    expect([credited.length, wasted.length]).toEqual([2, 0]);
  });

  it('is wasted when it fails, but not what it had stored before', async () => {
    const { credited, wasted, beats } = await run(async (at) => {
      await answered(at);
      at.stored();
      await answered(at);
      throw new Error('it broke');
    });
    expect([credited.length, wasted]).toEqual([
      2,
      [
        ['prompt', 10],
        ['completion', 5],
      ],
    ]);
    expect(beats.at(-1)?.unsaved).toEqual({ ...usage, counted: true });
  });

  it('is wasted by the word of the next attempt where it died without one', async () => {
    const { recorded, wasted } = await run(async () => {}, {
      attempt: 2,
      heartbeatDetails: { phase: 'x', unsaved: usage },
    });
    expect(wasted).toEqual([
      ['prompt', 10],
      ['completion', 5],
    ]);
    expect(recorded.filter(({ name }) => name === 'astroflow_lost_attempts')).toHaveLength(1);
  });

  it('is not counted again by the next attempt where it said so itself', async () => {
    const unsaved = { ...usage, counted: true };
    const { wasted } = await run(async () => {}, { attempt: 2, heartbeatDetails: { phase: 'x', unsaved } });
    expect(wasted).toEqual([]);
  });
});
