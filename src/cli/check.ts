import { parseRunConfig } from '../config/parse.ts';
import { printable } from '../core/foreign-text.ts';
import { type CheckRow, canRun, checkServices } from '../services/check/index.ts';
import { readConfigFile } from './config-file.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { readServerFile } from './server-file.ts';

export interface CheckOptions {
  deep?: boolean;
  json?: boolean;
  /** Seconds. */
  deadline?: number;
}

const defaultDeadlineSeconds = 30;

/** `astroflow check CONFIG`: 0 when the run can work with the services as they are now. */
export async function checkCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  path: string,
  options: CheckOptions,
): Promise<number> {
  const parsed = parseRunConfig(readConfigFile(path));
  if ('problems' in parsed) {
    const lines = parsed.problems.map((problem) => `  ${problem.path}: ${problem.message}`);
    throw new CliError(`${path} has ${lines.length} problem(s):\n${lines.join('\n')}`);
  }
  const engineUrl = readServerFile(home.server)?.engineUrl;
  const rows = await checkServices(
    parsed.config,
    engineUrl === undefined ? env : { ASTROFLOW_ENGINE_URL: engineUrl, ...env },
    { deep: options.deep ?? false, deadlineMs: (options.deadline ?? defaultDeadlineSeconds) * 1000 },
  );
  const ok = canRun(rows);
  if (options.json) console.log(JSON.stringify({ ok, checks: rows }, null, 2));
  else console.log(printable(renderChecks(rows, process.stdout.columns || 100)));
  return ok ? 0 : 1;
}

const signs = { yes: '✓', no: '✗', unknown: '–' };

/** A table, and under each ✗ what it means. */
export function renderChecks(rows: readonly CheckRow[], width: number): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (column === 0 ? row.service : row.what).length)));
  const indent = 2 + (widths[0] ?? 0) + 2 + (widths[1] ?? 0) + 2;
  const lines = rows.flatMap((row, at) => {
    const service = row.service === rows[at - 1]?.service ? '' : row.service;
    const head = `${service.padEnd(widths[0] ?? 0)}  ${signs[row.state]} ${row.what.padEnd(widths[1] ?? 0)}  ${row.found}`;
    if (row.state !== 'no') return [head];
    const effect = row.effect === 'stops' ? 'stops the run' : 'works with less';
    return [
      head,
      ...wrap(`${effect}: ${row.means ?? ''}`, Math.max(40, width - indent)).map((line) => ' '.repeat(indent) + line),
    ];
  });
  const stopping = rows.filter(({ effect }) => effect === 'stops').length;
  const lesser = rows.filter(({ effect }) => effect === 'degrades').length;
  const verdict =
    stopping > 0
      ? `The run cannot work: ${stopping} of the above ${stopping === 1 ? 'stops' : 'stop'} it.`
      : 'The run can work.';
  const less =
    lesser > 0 && stopping === 0 ? ` It does so with less in ${lesser} respect${lesser === 1 ? '' : 's'}.` : '';
  return [...lines, '', verdict + less].join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
