import { appendFileSync } from 'node:fs';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { logFormatOf, logFormatter } from '../observe/logs.ts';
import { metricsEndpoint } from '../observe/metrics-endpoint.ts';
import { CliError } from './errors.ts';

/**
 * Settings of the SDK in this process; must come right before the first worker: it keeps the process alive until the
 * last worker is gone. Signals stay ours, so that workers, engine and server can be stopped in that order. Logs go to a
 * file where the terminal shows progress; metrics to Prometheus where `env` says so.
 *
 * @throws CliError when a variable is wrong or the metrics' address is taken
 */
export function installRuntime({ env = {}, logFile }: { env?: NodeJS.ProcessEnv; logFile?: string }): void {
  try {
    const line = logFormatter(logFormatOf(env));
    const write = (text: string) =>
      logFile === undefined ? process.stderr.write(text) : appendFileSync(logFile, text);
    const metrics = metricsEndpoint(env);
    Runtime.install({
      logger: new DefaultLogger('INFO', (entry) => void write(`${line(entry)}\n`)),
      shutdownSignals: [],
      telemetryOptions: {
        logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } },
        ...(metrics && { metrics }),
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isTaken = /address already in use/i.test(message);
    throw new CliError(isTaken ? `ASTROFLOW_METRICS_ADDRESS=${env.ASTROFLOW_METRICS_ADDRESS}: ${message}` : message);
  }
}
