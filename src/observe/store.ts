import type { ArtifactRef } from '../core/artifact.ts';
import { type Meter, recorder } from '../core/metrics.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Tracing } from './tracing.ts';

/** A store that is counted, timed and traced. Rows that are read one by one are timed until the first can be read. */
export function observeStore(store: ArtifactStore, meter: Meter, tracing: Tracing): ArtifactStore {
  const record = recorder(meter);

  async function watched<T>(operation: string, name: string, run: () => Promise<T>, bytesOf: (result: T) => number) {
    const startedAt = performance.now();
    const count = (outcome: 'ok' | 'failed') => {
      record.add('astroflow_store_operations', 1, { operation, outcome });
      record.observe('astroflow_store_operation_duration', (performance.now() - startedAt) / 1000, { operation });
    };
    try {
      const result = await tracing.span(`store ${operation}`, { 'astroflow.artifact': name }, run);
      count('ok');
      const bytes = bytesOf(result);
      if (bytes > 0) record.add('astroflow_store_bytes', bytes, { operation });
      return result;
    } catch (error) {
      count('failed');
      throw error;
    }
  }

  // A series has to be there before its first event, or Prometheus takes that for its beginning.
  for (const operation of ['put', 'replace', 'find', 'get', 'read', 'list'])
    for (const outcome of ['ok', 'failed']) record.add('astroflow_store_operations', 0, { operation, outcome });

  const written = (ref: ArtifactRef) => ref.bytes;
  const nothing = () => 0;
  return {
    putJson: (name, value) => watched('put', name, () => store.putJson(name, value), written),
    putLines: (name, rows) => watched('put', name, () => store.putLines(name, rows), written),
    replaceText: (name, text) => watched('replace', name, () => store.replaceText(name, text), written),
    find: (name) => watched('find', name, () => store.find(name), nothing),
    getJson: <T>(ref: ArtifactRef) =>
      watched(
        'get',
        ref.uri,
        () => store.getJson<T>(ref),
        () => ref.bytes,
      ),
    getLines: <T>(ref: ArtifactRef) =>
      watched(
        'get',
        ref.uri,
        () => store.getLines<T>(ref),
        () => ref.bytes,
      ),
    readLines: <T>(name: string) => watched('read', name, () => store.readLines<T>(name), nothing),
    list: (folder) => watched('list', folder, () => store.list(folder), nothing),
    check: () => store.check(),
    locate: (name) => store.locate(name),
  };
}
