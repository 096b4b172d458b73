import type { AnswerRecord, RolloutRecord } from '../src/core/records.ts';
import type { SearchRound } from '../src/core/search/types.ts';
import type { Served } from './journal.ts';
import { pick, type Stored } from './stored.ts';

export interface Accounts {
  /** Tokens that stored results name without a matching served call, or that were served for no reason we know. */
  ledgerDifference: number;
  credited: { calls: number; tokens: number };
  /** Served and used by nobody: what the kills cost. */
  wasted: Served[];
  notes: string[];
}

/** Calls that one stored result was made of, and the completion tokens it holds. */
interface Credit {
  by: string;
  calls: string[];
  tokens: number;
}

/** Joins what stored results credit with what the service journalled, by call id. */
export function joinAccounts(stored: Stored, journal: readonly Served[]): Accounts {
  const served = new Map<string, Served[]>();
  for (const line of journal) served.set(line.call, [...(served.get(line.call) ?? []), line]);
  const credits = creditsOf(stored);
  const notes: string[] = [];
  let ledgerDifference = 0;
  const wrong = (tokens: number, note: string) => {
    ledgerDifference += Math.max(1, tokens);
    notes.push(note);
  };

  const creditedCalls = new Set<string>();
  const wasted: Served[] = [];
  for (const { by, calls, tokens } of credits) {
    for (const call of calls) {
      if (creditedCalls.has(call)) wrong(tokens, `${call} is credited twice, again by ${by}`);
      creditedCalls.add(call);
    }
    const lines = calls.map((call) => served.get(call) ?? []);
    const never = calls.filter((_, i) => lines[i]?.length === 0);
    if (never.length > 0) {
      wrong(tokens, `${by} credits ${never[0]}, which was never served`);
      continue;
    }
    const used = choose(lines, tokens);
    if (used === null) wrong(tokens, `${by} holds ${tokens} tokens, which no served calls add up to`);
    else wasted.push(...lines.flat().filter((line) => !used.includes(line)));
  }
  for (const [call, lines] of served) {
    const attempts = lines.map((line) => line.attempt);
    if (new Set(attempts).size < attempts.length)
      wrong(0, `${call} was served ${lines.length} times, twice to one attempt`);
    if (!creditedCalls.has(call)) {
      const tokens = lines.reduce((sum, line) => sum + line.completionTokens, 0);
      wrong(tokens, `${call} was served and no result names it`);
    }
  }
  const tokens = credits.reduce((sum, credit) => sum + credit.tokens, 0);
  return { ledgerDifference, credited: { calls: creditedCalls.size, tokens }, wasted, notes };
}

/** One served line of each call, together as many tokens as were stored. */
function choose(lines: readonly Served[][], tokens: number): Served[] | null {
  const [first, ...rest] = lines;
  if (first === undefined) return tokens === 0 ? [] : null;
  for (const line of first) {
    const others = choose(rest, tokens - line.completionTokens);
    if (others !== null) return [line, ...others];
  }
  return null;
}

function creditsOf(stored: Stored): Credit[] {
  const rounds = pick<SearchRound>(stored, /^search\/.*\/round-\d+\.json$/).map(({ name, values }): Credit => {
    const { calls, usage } = values[0] as SearchRound;
    return { by: name, calls, tokens: usage.completionTokens };
  });
  const rollouts = pick<RolloutRecord>(stored, /^rl\/.*\/rollouts-\d+\.jsonl$/).map(({ name, values }): Credit => {
    const tokens = values.reduce((sum, row) => sum + row.completionTokens.length, 0);
    return { by: name, calls: [...new Set(values.map((row) => row.callId))], tokens };
  });
  const answers = pick<AnswerRecord>(stored, /^evaluate\/.*\.jsonl$/).map(({ name, values }): Credit => {
    const tokens = values.reduce((sum, row) => sum + row.tokens, 0);
    return { by: name, calls: [...new Set(values.map((row) => row.callId))], tokens };
  });
  return [...rounds, ...rollouts, ...answers];
}
