import type { Sampler } from '../../src/services/sampler/sampler.ts';

/** A sampler that lets every call wait until it is opened. */
export function closedSampler(): { sampler: (real: Sampler) => Sampler; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    open: () => open(),
    sampler: (real) => ({
      ...real,
      async sample(request, signal) {
        await opened;
        return real.sample(request, signal);
      },
    }),
  };
}
