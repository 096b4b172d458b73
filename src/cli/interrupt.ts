/**
 * Turns the first Ctrl-C (or SIGTERM, SIGHUP) into an abort, and lets a second one end the process at once; children
 * are then killed on exit. Returns the signal and how to stop listening.
 */
export function onInterrupt(announce: () => void): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) process.exit(130);
    announce();
    controller.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, handle);
  return {
    signal: controller.signal,
    dispose() {
      for (const signal of signals) process.off(signal, handle);
    },
  };
}

/** Resolves when the signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
}
