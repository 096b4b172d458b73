import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import type { Metrics } from './metrics.ts';
import { tfRecord } from './tfrecord.ts';

/** The part of TensorFlow's `event.proto` and `summary.proto` that scalars need. A value that is 0 must be written. */
const schema = `
syntax = "proto3";
package tensorflow;
message Value { string tag = 1; oneof value { float simple_value = 2; } }
message Summary { repeated Value value = 1; }
message Event { double wall_time = 1; int64 step = 2; oneof what { string file_version = 3; Summary summary = 5; } }
`;
const Event = protobuf.parse(schema, { keepCase: true }).root.lookupType('tensorflow.Event');

/** What TensorBoard looks for in a file's name. */
const FILE = 'events.out.tfevents.astroflow';

/** Writes one folder of events an arm: what `tensorboard --logdir FOLDER` shows as its runs. */
export async function writeTensorboard({ arms }: Metrics, folder: string): Promise<void> {
  for (const { arm, series } of arms) {
    await mkdir(join(folder, arm), { recursive: true });
    const events = Object.entries(series).flatMap(([tag, points]) =>
      points.map(({ step, value, timeMs }) => ({
        wall_time: timeMs / 1000,
        step,
        summary: { value: [{ tag, simple_value: value }] },
      })),
    );
    // Readers expect steps that grow.
    events.sort((a, b) => a.step - b.step);
    const version = { wall_time: events[0]?.wall_time ?? 0, step: 0, file_version: 'brain.Event:2' };
    const records = [version, ...events].map((event) => tfRecord(Event.encode(Event.create(event)).finish()));
    await writeFile(join(folder, arm, FILE), Buffer.concat(records));
  }
}
