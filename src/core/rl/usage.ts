import type { RolloutRecord } from '../records.ts';
import type { Usage } from '../usage.ts';

/** What an iteration's answers cost: each prompt once, however large its group. */
export function rolloutUsage(records: readonly RolloutRecord[]): Usage {
  const prompts = new Map(records.map((record) => [record.group, record.promptTokens.length]));
  return {
    calls: new Set(records.map((record) => record.callId)).size,
    promptTokens: [...prompts.values()].reduce((sum, length) => sum + length, 0),
    completionTokens: records.reduce((sum, record) => sum + record.completionTokens.length, 0),
  };
}
