/**
 * How many requests a service is sent at once, learned from how it answers: additive increase, multiplicative decrease,
 * as TCP finds the width of a path (Chiu and Jain 1989). Pure: no clock, no requests; `src/services/gate.ts` asks it.
 *
 * A request belongs to the epoch in which it was sent, and every decrease starts a new one. An overload therefore
 * counts once for all requests that were in flight together: one decrease in a round trip, whatever their number.
 */
export interface Aimd {
  /** Requests at once, a whole number from `MIN_LIMIT` to the ceiling. */
  limit: number;
  ceiling: number;
  /** Raised by every decrease. */
  epoch: number;
  /** Answered since the limit last changed; a window is full at `limit` of them. */
  answered: number;
}

/** A service is never given up: one request at a time finds out when it is well again. */
export const MIN_LIMIT = 1;

/** One more request for each window that went well: slow enough that a service at its edge is rarely pushed over it. */
export const INCREASE = 1;

/** Half, as in TCP: a queue that has built up drains in about one round trip. */
export const DECREASE = 0.5;

/**
 * What a service is sent at once where the configuration says nothing: above what a worker's own slots put in flight
 * with the bundled engine, and the number of sequences that vLLM batches by default.
 */
export const DEFAULT_CEILING = 256;

/** Starts at the ceiling: a service that is never overloaded is never held back. @throws RangeError below 1 */
export function startAimd(ceiling: number = DEFAULT_CEILING): Aimd {
  if (!Number.isInteger(ceiling) || ceiling < MIN_LIMIT) {
    throw new RangeError(`at most ${ceiling} requests at once: use a whole number from ${MIN_LIMIT}`);
  }
  return { limit: ceiling, ceiling, epoch: 0, answered: 0 };
}

/** A request was answered. Those of earlier epochs say nothing about the present limit. */
export function answered(state: Aimd, epoch: number): Aimd {
  if (epoch !== state.epoch || state.limit === state.ceiling) return state;
  if (state.answered + 1 < state.limit) return { ...state, answered: state.answered + 1 };
  return { ...state, limit: Math.min(state.limit + INCREASE, state.ceiling), answered: 0 };
}

/**
 * The service had too much: it said so, or did not answer in time. `inFlight` are the requests at that moment, this one
 * included: what was too much is their number, where that is below the limit.
 */
export function overloaded(state: Aimd, epoch: number, inFlight: number): Aimd {
  if (epoch !== state.epoch) return state;
  const limit = Math.max(MIN_LIMIT, Math.floor(Math.min(state.limit, inFlight) * DECREASE));
  return { ...state, limit, epoch: state.epoch + 1, answered: 0 };
}

/** The same service under another ceiling: the smallest that anybody configured counts. */
export function lowerCeiling(state: Aimd, ceiling: number): Aimd {
  if (ceiling >= state.ceiling) return state;
  return { ...state, ceiling, limit: Math.min(state.limit, ceiling), answered: 0 };
}
