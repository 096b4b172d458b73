import type { z } from 'zod';
import { type RunConfig, runConfigSchema } from './schema.ts';

/** One thing wrong with a configuration or a data file, for people. */
export interface ConfigProblem {
  /** `rl.search.iterations`, or `data/problems.jsonl:17` for a data row. */
  path: string;
  message: string;
}

/** Validates and fills in defaults; all problems at once, each with its path. */
export function parseRunConfig(input: unknown): { config: RunConfig } | { problems: ConfigProblem[] } {
  const parsed = runConfigSchema.safeParse(input ?? {});
  if (!parsed.success) return { problems: parsed.error.issues.flatMap((issue) => describeIssue(issue, [])) };
  const problems = crossFieldProblems(parsed.data);
  return problems.length > 0 ? { problems } : { config: parsed.data };
}

/** What no single field can know. */
function crossFieldProblems(config: RunConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const arm of ['search', 'direct'] as const) {
    const other = config.rl[arm].matchTokensOf;
    if (other === null) continue;
    if (other === arm) problems.push({ path: `rl.${arm}.matchTokensOf`, message: 'an arm cannot match itself' });
    else if (!config.arms.includes(other))
      problems.push({ path: `rl.${arm}.matchTokensOf`, message: `the arm "${other}" is not in "arms"` });
    else if (config.rl[other].matchTokensOf !== null)
      problems.push({ path: `rl.${arm}.matchTokensOf`, message: `"${other}" itself matches another arm` });
  }
  if (Object.keys(config.evaluate.benchmarks).length === 0)
    problems.push({ path: 'evaluate.benchmarks', message: 'name at least one benchmark' });
  return problems;
}

type Issue = z.core.$ZodIssue;

function describeIssue(issue: Issue, prefix: PropertyKey[]): ConfigProblem[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: dotted([...path, key]), message: 'unknown field' }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The alternative with the fewest complaints is the one the person meant.
    const closest = issue.errors.reduce((a, b) => (b.length < a.length ? b : a));
    return closest.flatMap((inner) => describeIssue(inner, path));
  }
  return [{ path: dotted(path), message: issue.message }];
}

function dotted(path: PropertyKey[]): string {
  return path.length === 0 ? '(whole configuration)' : path.map(String).join('.');
}
