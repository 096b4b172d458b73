import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { minimumPython, newestPython } from '../../scripts/setup-checks.mjs';
import { copiesOf, isSent, readStages, type Stage } from '../support/dockerfile.ts';

const stages = readStages(readFileSync('Dockerfile', 'utf8'));
const dockerignore = readFileSync('.dockerignore', 'utf8');
const engines = (JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }).engines;

function stageOf(name: string): Stage {
  const found = stages.get(name);
  if (found === undefined) throw new Error(`there is no stage ${name}`);
  return found;
}

function lastOf(stage: Stage, name: string): string {
  return stage.instructions.findLast((instruction) => instruction.name === name)?.text ?? '';
}

/** The numbers of a version, to compare. */
const numbers = (text: string) => (/(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
const isAtLeast = ([major = 0, minor = 0]: number[], [a = 0, b = 0]: number[]) =>
  major > a || (major === a && minor >= b);

describe('Dockerfile', () => {
  it('is built from versions that the project supports', () => {
    const node = numbers(stageOf('worker').base);
    expect(stageOf('packages').base).toBe(stageOf('worker').base);
    expect(isAtLeast(node, numbers(engines.node))).toBe(true);
    const python = numbers(stageOf('engine').base);
    expect(stageOf('engine-packages').base).toBe(stageOf('engine').base);
    expect(isAtLeast(python, numbers(minimumPython)) && isAtLeast(numbers(newestPython), python)).toBe(true);
  });

  it('copies what is there, and what .dockerignore lets it have', () => {
    for (const stage of stages.values())
      for (const source of copiesOf(stage).flatMap(({ sources }) => sources)) {
        expect(existsSync(source), source).toBe(true);
        expect(isSent(dockerignore, source), source).toBe(true);
      }
  });

  it('sends no secret, no artifact and no local model to the builder', () => {
    const kept = ['.env', '.git/config', '.astroflow/artifacts/a.json', 'models/m/config.json', 'data/local/own.jsonl'];
    for (const path of [...kept, 'node_modules/a/index.js', 'deploy/certs/key.pem', 'src/cli/__pycache__/a.pyc'])
      expect(isSent(dockerignore, path), path).toBe(false);
  });

  it.each(['worker', 'engine'])('runs the %s as a user of its own, stops it by SIGTERM and asks how it is', (name) => {
    const stage = stageOf(name);
    expect(lastOf(stage, 'USER')).toMatch(/^(node|engine)$/);
    expect(lastOf(stage, 'STOPSIGNAL')).toBe('SIGTERM');
    expect(lastOf(stage, 'HEALTHCHECK')).toContain('CMD [');
    // A shell in between would not pass the signal on.
    expect(JSON.parse(lastOf(stage, 'ENTRYPOINT'))[0]).toMatch(/^(node|python)$/);
  });

  it('asks the worker where its own setting has it answer', () => {
    const worker = stageOf('worker');
    const address = /ASTROFLOW_HEALTH_ADDRESS=(\S+)/.exec(lastOf(worker, 'ENV'))?.[1];
    expect(lastOf(worker, 'HEALTHCHECK')).toContain(`"http://${address}/healthz"`);
  });

  it('asks the engine at an address that needs no token', () => {
    const engine = stageOf('engine');
    const asked = /request\('GET', '([^']+)'\)/.exec(lastOf(engine, 'HEALTHCHECK'))?.[1];
    const open = /OPEN_PATHS = frozenset\(\{"([^"]+)"\}\)/.exec(readFileSync('engine/access.py', 'utf8'))?.[1];
    expect(asked).toBe(open);
    const [, port] = /"--port", "(\d+)"/.exec(lastOf(engine, 'ENTRYPOINT')) ?? [];
    expect(lastOf(engine, 'HEALTHCHECK')).toContain(`'127.0.0.1', ${port}`);
    expect(lastOf(engine, 'EXPOSE')).toBe(port);
  });
});
