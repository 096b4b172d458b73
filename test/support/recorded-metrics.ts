import type { MetricMeter } from '@temporalio/common';

export interface Recorded {
  name: string;
  value: number;
  tags: Record<string, unknown>;
}

/** A meter of the SDK that only remembers what was recorded. */
export function recordedMetrics(): { meter: MetricMeter; recorded: Recorded[] } {
  const recorded: Recorded[] = [];
  const note =
    (name: string) =>
    (value: number, tags: Record<string, unknown> = {}) =>
      void recorded.push({ name, value, tags });
  const instrument = (name: string) => {
    const made = { name, add: note(name), record: note(name), set: note(name), withTags: () => made };
    return made as never;
  };
  const meter: MetricMeter = {
    createCounter: instrument,
    createHistogram: instrument,
    createGauge: instrument,
    withTags: () => meter,
  };
  return { meter, recorded };
}
