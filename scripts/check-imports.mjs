// The one rule between the layers (docs: imports only point right), checked over every import in src/.
// A line in the wrong room fails the lint with its file and line.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * What a file of each room (a folder, or a file that has its own rule) may import. `own`: rooms whose values it may use; `types`: rooms (or packages) of which only
 * `import type` is allowed; `packages`: packages from outside, where they are limited; `node`: Node's built-ins.
 * @type {Record<string, { own: string[], types?: string[], packages?: string[], node: boolean }>}
 */
export const rooms = {
  core: { own: ['core'], packages: ['@noble/hashes', 'canonicalize', 'pure-rand'], node: false },
  // A task is one file, the schema of its options included.
  'core/task.ts': { own: ['core'], packages: ['zod'], node: false },
  'core/tasks': { own: ['core'], packages: ['zod', '@noble/hashes'], node: false },
  workflows: {
    own: ['core', 'workflows', 'config/plan.ts'],
    // Types are erased; nothing of these reaches the workflow bundle.
    types: ['activities', 'config', 'services'],
    packages: ['@temporalio/workflow', '@temporalio/common'],
    node: false,
  },
  // Artifact names and the plan's types: the one file of config that is pure enough for the workflow bundle.
  'config/plan.ts': { own: ['core'], types: ['config'], packages: [], node: false },
  config: { own: ['core', 'config'], node: true },
  services: { own: ['core', 'services'], types: ['config'], node: true },
  // A client that could be a package of its own.
  'services/tinker': {
    own: ['services/tinker', 'services/bounded-body.ts', 'core/foreign-text.ts'],
    packages: ['protobufjs', 'tar'],
    node: true,
  },
  report: { own: ['core', 'report'], types: ['config'], node: true },
  // What stages stored, read for the ledger: by the names in config, without running a stage.
  accounts: { own: ['core', 'services', 'config', 'accounts'], types: ['activities'], node: false },
  // What finished runs stored, read back: compared, told apart, explained.
  inspect: {
    own: ['core', 'services', 'config', 'report', 'accounts', 'runs', 'inspect'],
    types: ['activities'],
    node: true,
  },
  // What a run made, for other tools: by the names in config, without running a stage.
  export: { own: ['core', 'services', 'config', 'report', 'export'], types: ['activities'], node: true },
  // Runs as people look at them, read by the names in config: without Temporal, and without running a stage.
  runs: { own: ['core', 'services', 'config', 'runs'], types: ['activities'], packages: [], node: false },
  // The live page: reads runs, draws with the report's figures, and is told by the cli what Temporal knows.
  page: { own: ['core', 'services', 'config', 'report', 'export', 'runs', 'page'], types: ['activities'], node: true },
  activities: {
    own: ['core', 'services', 'config', 'report', 'accounts', 'inspect', 'activities', 'versions.ts'],
    node: true,
  },
  // Metrics, traces and logs of a worker, laid around what it is made of.
  observe: { own: ['core', 'services', 'observe'], types: ['activities', 'config'], node: true },
  workers: {
    own: ['core', 'services', 'config', 'report', 'activities', 'observe', 'workers'],
    types: ['workflows'],
    node: true,
  },
  cli: {
    own: [
      'core',
      'services',
      'config',
      'report',
      'workers',
      'observe',
      'accounts',
      'inspect',
      'runs',
      'page',
      'export',
      'versions.ts',
      'cli',
    ],
    types: ['workflows', 'activities'],
    node: true,
  },
  'versions.ts': { own: [], node: true },
};

const statement =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\sfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

/**
 * Every import of a source text, with the line it starts on.
 * @param {string} source
 * @returns {{ target: string, typeOnly: boolean, line: number }[]}
 */
export function importsOf(source) {
  return [...source.matchAll(statement)].map((match) => ({
    target: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
    line: source.slice(0, match.index).split('\n').length,
  }));
}

/**
 * What is wrong with one import, or null.
 * @param {string} file path inside src/, with forward slashes: `core/key.ts`
 * @param {{ target: string, typeOnly: boolean }} imported
 * @returns {string | null}
 */
export function violation(file, { target, typeOnly }) {
  const [top = '', below = ''] = file.split('/');
  const room = [file, `${top}/${below}`].find((name) => name in rooms) ?? top;
  const rule = rooms[room];
  if (!rule) return `src/${room} is not one of the rooms (${Object.keys(rooms).join(', ')})`;

  if (target.startsWith('.')) {
    const path = posix.normalize(posix.join(posix.dirname(file), target));
    const other = path.split('/')[0] ?? '';
    if (other === '..') return `${room} must not import from outside src/ (${target})`;
    if (rule.own.some((own) => path === own || path.startsWith(`${own}/`))) return null;
    if (rule.types?.includes(other))
      return typeOnly ? null : `${room} may import only types of ${other}: write "import type"`;
    return `${room} must not import ${other} (allowed: ${[...rule.own, ...(rule.types ?? []).map((r) => `types of ${r}`)].join(', ')})`;
  }
  if (target.startsWith('node:')) return rule.node ? null : `${room} must not import Node's ${target}`;
  if (rule.packages && !rule.packages.some((name) => target === name || target.startsWith(`${name}/`)))
    return `${room} must not import ${target} (allowed: ${rule.packages.join(', ')})`;
  return null;
}

/**
 * All violations under a src/ folder, as `src/core/x.ts:3: message`.
 * @param {string} src
 */
export function checkImports(src) {
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(src, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
    .flatMap((file) =>
      importsOf(readFileSync(join(src, file), 'utf8')).flatMap((imported) => {
        const message = violation(file, imported);
        return message === null ? [] : [`src/${file}:${imported.line}: ${message}`];
      }),
    );
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const src = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');
  const problems = checkImports(src);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    console.error(`${problems.length} import(s) in the wrong room.`);
    process.exitCode = 1;
  }
}
