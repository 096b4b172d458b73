import type { Capabilities } from './capabilities.ts';
import { TinkerError } from './errors.ts';
import {
  type CheckpointInfo,
  type Cursor,
  type Page,
  parseTinkerPath,
  type TrainingRun,
  type WeightsInfo,
} from './protocol.ts';
import { query } from './service-calls.ts';
import type { Transport } from './transport.ts';

const ARCHIVE_PACKING_MS = 30_000;
const CHECKPOINT_POLL_MS = 1_000;

/** Runs, and the weights that were saved of them. Checkpoints are named by their `tinker://` path. */
export function catalogCalls({ json, raw, now, sleep }: Transport, can: Capabilities) {
  function parts(path: string) {
    const found = parseTinkerPath(path);
    if (found !== null) return found;
    const message = `${path} is not a checkpoint: expected tinker://RUN/weights/NAME or …/sampler_weights/NAME`;
    throw new TinkerError('fatal', message, { service: 'the Tinker client' });
  }

  function address(path: string, more = ''): string {
    const { run, kind, name } = parts(path);
    return `/training_runs/${encodeURIComponent(run)}/checkpoints/${kind}/${encodeURIComponent(name)}${more}`;
  }

  async function runCheckpoints(run: string, signal: AbortSignal): Promise<CheckpointInfo[]> {
    const list = `/training_runs/${encodeURIComponent(run)}/checkpoints`;
    return (await json<{ checkpoints: CheckpointInfo[] }>('GET', list, undefined, signal)).checkpoints;
  }

  return {
    weightsInfo: (path: string, signal: AbortSignal) =>
      json<WeightsInfo>('POST', '/weights_info', { tinker_path: path }, signal),
    trainingRuns: (page: Page, signal: AbortSignal) =>
      json<{ training_runs: TrainingRun[]; cursor?: Cursor }>('GET', `/training_runs${query(page)}`, undefined, signal),
    trainingRun: (run: string, signal: AbortSignal) =>
      json<TrainingRun>('GET', `/training_runs/${encodeURIComponent(run)}`, undefined, signal),
    /** Of all runs. */
    checkpoints: (page: Page, signal: AbortSignal) =>
      json<{ checkpoints: CheckpointInfo[]; cursor?: Cursor }>('GET', `/checkpoints${query(page)}`, undefined, signal),
    runCheckpoints,

    deleteCheckpoint: (path: string, signal: AbortSignal) => json<void>('DELETE', address(path), undefined, signal),
    /** Seconds from now; null: forever. */
    setCheckpointTtl: (path: string, ttlSeconds: number | null, signal: AbortSignal) =>
      json<void>('PUT', address(path, '/ttl'), { ttl_seconds: ttlSeconds }, signal),
    publishCheckpoint: (path: string, signal: AbortSignal) =>
      json<void>('POST', address(path, '/publish'), undefined, signal),
    unpublishCheckpoint: (path: string, signal: AbortSignal) =>
      json<void>('DELETE', address(path, '/publish'), undefined, signal),

    /**
     * Where a checkpoint's archive can be downloaded for a while. The server packs it first and answers 503 meanwhile,
     * which is waited for until the deadline.
     */
    async archiveUrl(path: string, signal: AbortSignal): Promise<string> {
      const { run, name } = parts(path);
      const bare = `/training_runs/${encodeURIComponent(run)}/checkpoints/${encodeURIComponent(name)}/archive`;
      const answer = await raw(can.archive === 'name' ? bare : address(path, '/archive'), signal, ARCHIVE_PACKING_MS);
      const location = answer.headers.get('location');
      if (location !== null) return location;
      const message = `no address came back for the archive of ${path} (${answer.status}): is it a Tinker server?`;
      throw new TinkerError('fatal', message, { service: 'the Tinker server', path, status: answer.status });
    },

    /** Waits until weights that are being saved are listed. @throws TinkerError (ambiguous) when they are not in time */
    async awaitCheckpoint(path: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
      const { run } = parts(path);
      for (const until = now() + timeoutMs; ; ) {
        const found = await runCheckpoints(run, signal);
        if (found.some(({ tinker_path }) => tinker_path === path)) return;
        if (now() + CHECKPOINT_POLL_MS >= until) {
          const message = `${path} was accepted and is not among the run's checkpoints after ${timeoutMs} ms`;
          throw new TinkerError('ambiguous', message, { service: 'the Tinker server', path, timedOut: true });
        }
        await sleep(CHECKPOINT_POLL_MS, signal);
      }
    },
  };
}
