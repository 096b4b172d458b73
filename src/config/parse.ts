import { z } from 'zod';
import { type Arm, type RunConfig, runConfigSchema } from './schema.ts';

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

const selectors = {
  fineTune: { arm: z.enum(['search', 'direct']).default('search') },
  reinforce: { arm: z.enum(['search', 'direct']).default('search') },
  searchProblem: { problem: z.int().min(0).default(0) },
} as const;

/** A stage started alone: a configuration, plus `arm` or `problem` where the workflow type is about one of them. */
export function parseStageInput(
  input: unknown,
  workflowType: string,
): { config: RunConfig; arm: Arm; problem: number } | { problems: ConfigProblem[] } {
  const chosen = { arm: 'search' as Arm, problem: 0 };
  const shape: Record<string, z.ZodType> = selectors[workflowType as keyof typeof selectors] ?? {};
  const problems: ConfigProblem[] = [];
  let rest = input;
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    const fields: Record<string, unknown> = { ...input };
    for (const [name, schema] of Object.entries(shape)) {
      const parsed = schema.safeParse(fields[name]);
      if (parsed.success) Object.assign(chosen, { [name]: parsed.data });
      else problems.push(...parsed.error.issues.flatMap((issue) => describeIssue(issue, [name])));
      delete fields[name];
    }
    rest = fields;
  }
  const parsed = parseRunConfig(rest);
  if ('problems' in parsed) return { problems: [...problems, ...parsed.problems] };
  if (parsed.config.policy.trainer === null && (workflowType === 'fineTune' || workflowType === 'reinforce'))
    problems.push({ path: 'policy.trainer', message: `is null, and ${workflowType} trains: name a trainer` });
  return problems.length > 0 ? { problems } : { config: parsed.config, ...chosen };
}

/** What no single field can know. */
function crossFieldProblems(config: RunConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const arm of ['search', 'direct'] as const) {
    const other = config.rl[arm].matchTokensOf;
    if (other === null) continue;
    if (other === arm) problems.push({ path: `rl.${arm}.matchTokensOf`, message: 'an arm cannot match itself' });
    // Without a trainer no arm runs, whatever "arms" says.
    else if (config.policy.trainer !== null && !config.arms.includes(other))
      problems.push({ path: `rl.${arm}.matchTokensOf`, message: `the arm "${other}" is not in "arms"` });
    else if (config.policy.trainer?.kind === 'job')
      problems.push({ path: `rl.${arm}.matchTokensOf`, message: 'a training job does not tell what it samples' });
    else if (config.rl[other].matchTokensOf !== null)
      problems.push({ path: `rl.${arm}.matchTokensOf`, message: `"${other}" itself matches another arm` });
  }
  if (Object.keys(config.evaluate.benchmarks).length === 0)
    problems.push({ path: 'evaluate.benchmarks', message: 'name at least one benchmark' });
  return [...problems, ...samplerProblems(config.policy)];
}

function samplerProblems({ sampler, trainer }: RunConfig['policy']): ConfigProblem[] {
  if (sampler.kind !== 'openai') return [];
  const names = sampler.endpoints?.map(({ name }, at) => name ?? `server-${at}`) ?? [];
  const problems = names.flatMap((name, at): ConfigProblem[] =>
    names.indexOf(name) === at
      ? []
      : [{ path: `policy.sampler.endpoints.${at}.name`, message: `"${name}" is another server's name` }],
  );
  if (sampler.publish?.via === 'vllm-lora' && trainer?.kind === 'tinker' && trainer.loraRank === null) {
    const message = 'vLLM loads adapters, and this trainer trains all parameters: set "policy.trainer.loraRank"';
    problems.push({ path: 'policy.sampler.publish.via', message });
  }
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
  if (issue.code === 'invalid_key') {
    return issue.issues.map(({ message }) => ({ path: dotted(path), message: `not a name: ${message}` }));
  }
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return [{ path: dotted(path), message: `is missing (${issue.expected})` }];
  }
  return [{ path: dotted(path), message: issue.message }];
}

function dotted(path: PropertyKey[]): string {
  return path.length === 0 ? '(whole configuration)' : path.map(String).join('.');
}
