import { ServiceError } from '../errors.ts';

/** What one probe saw. */
export interface Finding {
  /** `unknown`: could not be told, which is no complaint. */
  state: 'yes' | 'no' | 'unknown';
  /** In a few words. */
  found: string;
  /** Of a `no`: the run cannot work, or it works with less. */
  effect?: 'stops' | 'degrades';
  /** Of a `no`: what it means and what to do. */
  means?: string;
}

export interface CheckRow extends Finding {
  /** `sampler`, `trainer`, `judge`, `narrator`, `tokenizer`. */
  service: string;
  /** What was looked at. */
  what: string;
}

export const yes = (found: string): Finding => ({ state: 'yes', found });
export const unknown = (found: string): Finding => ({ state: 'unknown', found });
export const stops = (found: string, means: string): Finding => ({ state: 'no', found, effect: 'stops', means });
export const degrades = (found: string, means: string): Finding => ({ state: 'no', found, effect: 'degrades', means });

export type Probe = (signal: AbortSignal) => Promise<Finding>;

/** Collects the findings about one service. */
export interface Findings {
  rows: CheckRow[];
  add(what: string, finding: Finding): Finding;
  /** Runs a probe within the deadline. What it throws stops the run: the service could not do its work. */
  probe(what: string, probe: Probe): Promise<Finding>;
}

export function createFindings(service: string, deadlineMs: number): Findings {
  const rows: CheckRow[] = [];
  const add = (what: string, finding: Finding) => {
    rows.push({ service, what, ...finding });
    return finding;
  };
  return {
    rows,
    add,
    async probe(what, probe) {
      const deadline = AbortSignal.timeout(deadlineMs);
      try {
        return add(what, await probe(deadline));
      } catch (error) {
        return add(what, deadline.aborted ? tooLate(deadlineMs) : failed(error));
      }
    },
  };
}

function tooLate(deadlineMs: number): Finding {
  const means = 'a server that starts or is busy may need longer (--deadline); otherwise look at its log';
  return stops(`no answer within ${deadlineMs / 1000} s`, means);
}

function failed(error: unknown): Finding {
  if (!(error instanceof ServiceError)) throw error;
  const without = error.kind === 'fatal' ? 'not possible' : 'no answer';
  return stops(error.status === undefined ? without : `answered ${error.status}`, error.message);
}
