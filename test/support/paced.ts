/** Something that runs one call at a time, when it is told to. */
export interface Paced<T> {
  /** Lets it make `calls` more calls, or all that are left; resolves when it waits before another, or has ended. */
  advance(calls?: number): Promise<void>;
  outcome: Promise<PromiseSettledResult<T>>;
}

/**
 * Starts `body` and stops it before each of its calls to what `around` has wrapped, so that a test can put the calls of
 * several bodies in any order. Calls of one body must follow each other.
 */
export function paced<T>(body: (around: <S extends object>(service: S) => S) => Promise<T>): Paced<T> {
  let proceed: (() => void) | null = null;
  let ended = false;
  let arrived = deferred();
  const gate = () =>
    new Promise<void>((resolve) => {
      proceed = resolve;
      arrived.resolve();
    });
  const around = <S extends object>(service: S): S =>
    new Proxy(service, {
      get(target, name, receiver) {
        const real: unknown = Reflect.get(target, name, receiver);
        if (typeof real !== 'function' || name === 'locate') return real;
        return async (...args: unknown[]) => {
          await gate();
          return real.apply(target, args);
        };
      },
    });
  const outcome = Promise.allSettled([body(around)]).then(([settled]) => {
    ended = true;
    arrived.resolve();
    return settled;
  });
  return {
    async advance(calls = Number.POSITIVE_INFINITY) {
      await arrived.promise;
      for (let made = 0; made < calls && !ended; made++) {
        arrived = deferred();
        proceed?.();
        await arrived.promise;
      }
    },
    outcome,
  };
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
