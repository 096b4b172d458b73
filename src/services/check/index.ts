import type { RunConfig } from '../../config/schema.ts';
import type { Renderer } from '../renderer/renderer.ts';
import { createRenderer } from '../renderer/tokenizer.ts';
import { type CheckRow, createFindings, stops, unknown, yes } from './finding.ts';
import { firstPrompts } from './first-problem.ts';
import { checkJobTrainer } from './job.ts';
import { type Asks, needsExactTokens } from './openai-sampler.ts';
import { checkPool } from './pool.ts';
import { checkRole } from './role.ts';
import { checkTinkerSampler, checkTinkerTrainer } from './tinker.ts';

export type { CheckRow } from './finding.ts';

export interface CheckOptions {
  /** Also make a training model, which may cost something. */
  deep: boolean;
  /** Most that one probe may take. */
  deadlineMs: number;
}

/** Tries every service of a configuration as a run would use it, and says what works, what does not and what follows. */
export async function checkServices(
  config: RunConfig,
  env: NodeJS.ProcessEnv,
  options: CheckOptions,
): Promise<CheckRow[]> {
  const { asks, rows } = await checkPrompts(config, options.deadlineMs);
  const sampler = await checkSampler(config, env, options, asks);
  const { judge, narrator } = config.roles;
  return [
    ...rows,
    ...sampler,
    ...(await checkTrainer(config, env, options)),
    ...(judge === null ? [] : await checkRole('judge', judge.model, env, options.deadlineMs)),
    ...(narrator === null ? [] : await checkRole('narrator', narrator.model, env, options.deadlineMs)),
  ];
}

/** A run can work unless something stops it. */
export function canRun(rows: readonly CheckRow[]): boolean {
  return rows.every(({ effect }) => effect !== 'stops');
}

/** Tokenizer, template and the first problems: what all prompts are made of. */
async function checkPrompts(config: RunConfig, deadlineMs: number): Promise<{ asks: Asks | null; rows: CheckRow[] }> {
  const findings = createFindings('policy', deadlineMs);
  const { tokenizer, template } = config.policy;
  let renderer: Renderer | undefined;
  let asks: Asks | null = null;
  await findings.probe('tokenizer', async () => {
    renderer = createRenderer(tokenizer, template);
    const end = renderer.decode([renderer.eosToken], { special: true });
    return yes(`${tokenizer}, template "${template}"${end === '' ? '' : `, answers end with ${end}`}`);
  });
  const made = renderer;
  if (made === undefined) return { asks, rows: findings.rows };
  await findings.probe('problems', async () => {
    try {
      const prompts = await firstPrompts(config, made);
      asks = { renderer: made, prompts };
      return yes(`the first prompt of the search has ${prompts[0]?.tokens.length} tokens`);
    } catch (error) {
      return stops('no prompt', `search.problems, or the task's prompt: ${(error as Error).message}`);
    }
  });
  return { asks, rows: findings.rows };
}

async function checkSampler(
  config: RunConfig,
  env: NodeJS.ProcessEnv,
  { deadlineMs }: CheckOptions,
  asks: Asks | null,
): Promise<CheckRow[]> {
  const { sampler, base } = config.policy;
  switch (sampler.kind) {
    case 'openai':
      return checkPool({ config, sampler, env, asks, deadlineMs });
    case 'tinker':
      return checkTinkerSampler({
        section: sampler,
        base,
        env,
        asks,
        deadlineMs,
        trains: needsExactTokens(config),
      });
    case 'scripted':
      return scripted('sampler');
  }
}

async function checkTrainer(
  config: RunConfig,
  env: NodeJS.ProcessEnv,
  { deep, deadlineMs }: CheckOptions,
): Promise<CheckRow[]> {
  const { trainer, base } = config.policy;
  switch (trainer?.kind) {
    case undefined:
      return createFindingsRow('trainer', 'none', 'the run searches, writes traces and scores the base model');
    case 'tinker':
      return checkTinkerTrainer({ section: trainer, base, env, deadlineMs, loraRank: trainer.loraRank, deep });
    case 'job':
      return checkJobTrainer(trainer, env, deadlineMs);
    case 'scripted':
      return scripted('trainer');
  }
}

const scripted = (service: string) => createFindingsRow(service, 'scripted', 'there is nothing to ask');

function createFindingsRow(service: string, what: string, found: string): CheckRow[] {
  return [{ service, what, ...unknown(found) }];
}
