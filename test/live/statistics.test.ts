import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type Answers, referenceCases } from '../core/stats/reference-cases.ts';
import { environment } from './environment.ts';

/** SciPy and statsmodels themselves. `UPDATE_STATISTICS=1` records what they say. Part of `npm run test:services`. */

const { python, missing } = environment('statistics');
const script = fileURLToPath(new URL('./statistics_reference.py', import.meta.url));
const recorded = 'test/fixtures/statistics.json';

it.skipIf(missing)('the recorded answers of SciPy and statsmodels are what they answer', () => {
  const input = JSON.stringify(referenceCases());
  const answers = JSON.parse(execFileSync(python, [script], { input, encoding: 'utf8' })) as Answers;
  if (process.env.UPDATE_STATISTICS) writeFileSync(recorded, `${JSON.stringify(answers, null, 1)}\n`);
  const { versions: _recordedBy, ...before } = JSON.parse(readFileSync(recorded, 'utf8')) as Answers;
  const { versions: _now, ...now } = answers;
  for (const [name, values] of Object.entries(now)) {
    const old = numbersIn(before[name as keyof typeof before]);
    for (const [i, value] of numbersIn(values).entries()) expect(value, name).toBeCloseTo(old[i]!, 9);
  }
});

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}
