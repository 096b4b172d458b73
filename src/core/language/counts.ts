import type { LanguageCounts } from '../records.ts';
import { addUsage, noUsage } from '../usage.ts';

export const noLanguage: LanguageCounts = {
  judged: 0,
  approved: 0,
  votes: 0,
  unreadVotes: 0,
  narrated: 0,
  fallbacks: 0,
  rejectedRows: {},
  usage: noUsage,
};

export function addLanguage(a: LanguageCounts, b: LanguageCounts): LanguageCounts {
  return {
    judged: a.judged + b.judged,
    approved: a.approved + b.approved,
    votes: a.votes + b.votes,
    unreadVotes: a.unreadVotes + b.unreadVotes,
    narrated: a.narrated + b.narrated,
    fallbacks: a.fallbacks + b.fallbacks,
    rejectedRows: addReasons(a.rejectedRows, b.rejectedRows),
    usage: addUsage(a.usage, b.usage),
  };
}

/** Counts by reason, added up. */
export function addReasons(a: Record<string, number>, b: Record<string, number>): Record<string, number> {
  const sum = { ...a };
  for (const [reason, count] of Object.entries(b)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}
