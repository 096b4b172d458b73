import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** What a worker and a command load, and what opening traces adds: packages of OpenTelemetry among it. */
const script = `
  const { Module } = await import('node:module');
  const loaded = () => Object.keys(Module._cache).filter((file) => /opentelemetry/.test(file)).length;
  const { openTracing } = await import('./src/observe/tracing.ts');
  await import('./src/cli/worker.ts');
  await import('./src/cli/start.ts');
  const off = await openTracing(process.env);
  const without = loaded();
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:9';
  await openTracing(process.env);
  console.log(JSON.stringify({ off, without, withThem: loaded() }));
  process.exit(0);
`;

it('nothing of OpenTelemetry is loaded where no endpoint is named', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { env: { PATH: process.env.PATH ?? '' }, timeout: 30_000 },
  );
  const { off, without, withThem } = JSON.parse(stdout) as { off: null; without: number; withThem: number };
  expect([off, without]).toEqual([null, 0]);
  expect(withThem).toBeGreaterThan(10);
}, 60_000);
