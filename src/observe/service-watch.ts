import type { Meter } from '../core/metrics.ts';
import { recorder } from '../core/metrics.ts';
import type { GateWatch } from '../services/gate.ts';
import { outcomes } from '../services/outcome.ts';

/** Metrics of how this process uses each service, by its host and port. */
export function serviceWatch(meter: Meter): GateWatch {
  const record = recorder(meter);
  const known = new Set<string>();
  return {
    used(address, { limit, inFlight, waiting }) {
      const service = hostOf(address);
      // A series has to be there before its first event, or Prometheus takes that for its beginning.
      if (!known.has(service))
        for (const outcome of outcomes) record.add('astroflow_requests', 0, { service, outcome });
      known.add(service);
      record.set('astroflow_concurrency_limit', limit, { service });
      record.set('astroflow_concurrency_used', inFlight, { service });
      record.set('astroflow_requests_waiting', waiting, { service });
    },
    waited: (address, ms) => record.observe('astroflow_request_wait', ms / 1000, { service: hostOf(address) }),
    ended(address, outcome, ms) {
      const service = hostOf(address);
      record.add('astroflow_requests', 1, { service, outcome });
      record.observe('astroflow_request_duration', ms / 1000, { service });
    },
  };
}

/** Never what may stand before or behind it in an address: a password, a key. */
function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : 'unknown';
}
