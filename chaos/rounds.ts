import { isDeepStrictEqual } from 'node:util';
import type { StoredTree } from '../src/activities/search.ts';
import type { AnswerRecord, RolloutRecord } from '../src/core/records.ts';
import { foldRounds } from '../src/core/search/index.ts';
import type { SearchParams, SearchRound, SearchTree } from '../src/core/search/types.ts';
import { configOf, pick, type Stored } from './stored.ts';

/** Rounds, rollouts and answers that a store should have and has not, or has twice. */
export interface RoundFindings {
  lostRounds: number;
  duplicateRounds: number;
  notes: string[];
}

/** The planned size of a run: what no disturbance may change. */
export interface PlannedCounts {
  trees: number;
  rollouts: number;
  answers: number;
}

export function checkRounds(stored: Stored, planned: PlannedCounts): RoundFindings {
  const findings: RoundFindings = { lostRounds: 0, duplicateRounds: 0, notes: [] };
  const lost = (count: number, note: string) => {
    findings.lostRounds += count;
    findings.notes.push(note);
  };
  const twice = (keys: string[], where: string) => {
    const extra = keys.length - new Set(keys).size;
    if (extra === 0) return;
    findings.duplicateRounds += extra;
    findings.notes.push(`${where} has ${extra} twice`);
  };

  const params = configOf(stored).search;
  const rounds = new Map<string, SearchRound[]>();
  for (const { groups, values } of pick<SearchRound>(stored, /^(search\/[^/]+\/[^/]+)\/round-\d+\.json$/)) {
    const folder = groups[0] as string;
    rounds.set(folder, [...(rounds.get(folder) ?? []), ...values]);
  }
  const trees = pick<StoredTree>(stored, /^(search\/[^/]+\/[^/]+)\/tree\.json$/);
  if (trees.length !== planned.trees) lost(planned.trees - trees.length, `${trees.length} of ${planned.trees} trees`);
  for (const { name, groups, values } of trees) {
    const { tree, calls } = values[0] as StoredTree;
    const found = (rounds.get(groups[0] as string) ?? []).sort((a, b) => a.round - b.round);
    const missing = tree.rounds - new Set(found.map(({ round }) => round)).size;
    if (missing > 0) lost(missing, `${name}: ${missing} of its ${tree.rounds} rounds are not stored`);
    else if (!isFold(tree, found, params)) lost(1, `${name} is not the fold of its rounds`);
    twice(calls, name);
    twice(
      found.map(({ round }) => String(round)),
      `${name}: rounds`,
    );
  }

  const rollouts = pick<RolloutRecord>(stored, /^rl\/.*\/rollouts-\d+\.jsonl$/);
  for (const { name, values } of rollouts)
    twice(
      values.map(({ group, sample }) => `${group}/${sample}`),
      name,
    );
  const answers = pick<AnswerRecord>(stored, /^evaluate\/.*\.jsonl$/);
  twice(
    answers.flatMap(({ values }) => values.map((a) => `${a.benchmark}/${a.checkpoint}/${a.problemId}/${a.sample}`)),
    'the evaluation',
  );
  for (const [kind, files] of Object.entries({ rollouts, answers }) as ['rollouts' | 'answers', Rows[]][]) {
    const count = files.reduce((sum, { values }) => sum + values.length, 0);
    if (count !== planned[kind]) lost(Math.abs(planned[kind] - count), `${count} of ${planned[kind]} ${kind}`);
  }
  return findings;
}

function isFold(tree: SearchTree, rounds: readonly SearchRound[], params: SearchParams): boolean {
  try {
    return isDeepStrictEqual(tree, foldRounds(tree.problemId, rounds, params));
  } catch {
    // Rounds that are not of one search cannot even be folded.
    return false;
  }
}

interface Rows {
  values: unknown[];
}

export function countPlanned(stored: Stored): PlannedCounts {
  const rows = (name: RegExp) => pick(stored, name).reduce((sum, { values }) => sum + values.length, 0);
  return {
    trees: rows(/^search\/.*\/tree\.json$/),
    rollouts: rows(/^rl\/.*\/rollouts-\d+\.jsonl$/),
    answers: rows(/^evaluate\/.*\.jsonl$/),
  };
}
