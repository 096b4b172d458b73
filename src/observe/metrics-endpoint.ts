import { isIP } from 'node:net';
import type { MetricsExporterConfig } from '@temporalio/worker';
import { histogramBuckets } from '../core/metrics.ts';

/**
 * Where this process shows the SDK's metrics and ours to Prometheus, by `ASTROFLOW_METRICS_ADDRESS`; undefined: nowhere.
 * Names end with their unit and counters with `_total`, as Prometheus wants them; durations are in seconds.
 *
 * @throws Error naming the variable
 */
export function metricsEndpoint(env: NodeJS.ProcessEnv): MetricsExporterConfig | undefined {
  const address = env.ASTROFLOW_METRICS_ADDRESS;
  if (!address) return undefined;
  return {
    attachServiceName: false,
    prometheus: {
      bindAddress: socketAddress(address),
      countersTotalSuffix: true,
      unitSuffix: true,
      useSecondsForDurations: true,
      histogramBucketOverrides: histogramBuckets(),
    },
  };
}

/** The SDK takes an IP address only. */
function socketAddress(address: string): string {
  const [, host = '', port = ''] = /^\[?([^[\]]*)\]?:(\d{1,5})$/.exec(address) ?? [];
  const ip = host === 'localhost' ? '127.0.0.1' : host;
  if (isIP(ip) === 0 || Number(port) < 1 || Number(port) > 65_535)
    throw new Error(
      `ASTROFLOW_METRICS_ADDRESS is ${JSON.stringify(address)}: write an IP address and a port, for example ` +
        '127.0.0.1:9464 (0.0.0.0:9464 for other machines)',
    );
  return isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
}
