import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seriousIn } from '../../scripts/audit.mjs';

const json = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
const { dependencies, devDependencies } = json('package.json') as Record<string, Record<string, string>>;
const { packages } = json('package-lock.json') as {
  packages: Record<string, { integrity?: string; hasInstallScript?: boolean }>;
};
const installed = Object.entries(packages).filter(([path]) => path !== '');
const requirements = readFileSync('engine/requirements.txt', 'utf8').trim().split('\n');

/** Rows of the tables of SECURITY.md under a heading: the names in the first column, and the reasons. */
function reasonsUnder(heading: string): Map<string, string> {
  const section = readFileSync('SECURITY.md', 'utf8').split(`## ${heading}`)[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| (`[^|]+) \| ([^|]+) \|$/gm)];
  return new Map(
    rows.flatMap(([, names = '', reason = '']) =>
      [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => [name, reason] as const),
    ),
  );
}

describe('dependencies', () => {
  it('are each listed in SECURITY.md with a reason, and none is listed that is not there', () => {
    const reasons = reasonsUnder('Dependencies');
    const python = requirements.map((line) => line.split('==')[0] as string);
    const all = [...Object.keys({ ...dependencies, ...devDependencies }), ...python];
    expect([...reasons.keys()].sort()).toEqual([...new Set(all)].sort());
  });

  it('are pinned exactly', () => {
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
      expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
    for (const line of requirements) expect(line).toMatch(/^[a-z0-9-]+==[\d.]+(; python_version [<>=]+ "3\.\d+")?$/);
  });

  it('are held by their hashes, those of dependencies too', () => {
    expect(installed.length).toBeGreaterThan(100);
    for (const [path, { integrity }] of installed)
      expect([path, integrity]).toEqual([path, expect.stringMatching(/^sha512-/)]);
  });

  it('run no program when they are installed, but for those that are known to', () => {
    const withScripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path);
    const names = withScripts.map((path) => path.split('node_modules/').at(-1));
    const known = ['@swc/core', 'esbuild', 'fsevents', 'protobufjs'];
    expect(names.filter((name) => !known.includes(name ?? ''))).toEqual([]);
  });
});

describe('an audit', () => {
  const answer = (severity: string) =>
    JSON.stringify({ vulnerabilities: { x: { name: 'x', severity, range: '<2' } }, metadata: { vulnerabilities: {} } });

  it('names what is high or critical, and nothing less', () => {
    expect(seriousIn(answer('high'))).toEqual(['x <2: high']);
    expect(seriousIn(answer('critical'))).toEqual(['x <2: critical']);
    expect(seriousIn(answer('moderate'))).toEqual([]);
  });

  it('that nobody answered is told from one that found nothing', () => {
    for (const text of ['', 'npm error', '{"statusCode":405,"error":{}}', '{}', 'null'])
      expect(seriousIn(text)).toBeNull();
  });
});
