import { appendFileSync } from 'node:fs';
import { DefaultLogger, Runtime } from '@temporalio/worker';

/**
 * Settings of the SDK in this process; must come right before the first worker: it keeps the process alive until the
 * last worker is gone. Signals stay ours, so that workers, engine and server can be stopped in that order. Logs go to a
 * file where the terminal shows progress.
 */
export function installRuntime(logFile?: string): void {
  const logger =
    logFile === undefined
      ? new DefaultLogger('INFO')
      : new DefaultLogger('INFO', ({ level, timestampNanos, message, meta }) => {
          const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
          appendFileSync(logFile, `${time} ${level} ${message} ${meta ? JSON.stringify(meta, errorText) : ''}\n`);
        });
  Runtime.install({
    logger,
    shutdownSignals: [],
    telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
  });
}

function errorText(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
