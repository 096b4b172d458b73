import type { Move } from '../../core/moves.ts';
import type { RowPlan } from '../../core/records.ts';
import type { SearchTree } from '../../core/search/types.ts';
import type { Summary } from '../summary-schema.ts';

/** Everything that `report.html` shows. Texts of problems, answers and steps come from outside: none is trusted. */
export interface ReportData {
  summary: Summary;
  trees: TreeExample[];
  transcripts: TranscriptGroup[];
  /** The resolved configuration as JSON, without secrets. */
  config: string | null;
}

export interface TreeExample {
  /** Why this tree: what it was the first of. */
  why: string;
  /** The problem in words. */
  problem: string;
  tree: Pick<SearchTree, 'nodes'>;
  /** The training row that was read from it; null where it gave none. */
  row: { plan: RowPlan; moves: Move[] } | null;
}

/** Answers of one checkpoint, picked by a rule that does not look at what they say. */
export interface TranscriptGroup {
  checkpoint: string;
  benchmark: string;
  /** Problems whose first sample was looked at. */
  looked: number;
  examples: Transcript[];
}

export interface Transcript {
  problemId: string;
  /** The problem in words. */
  problem: string;
  moves: Move[];
  right: boolean;
  truncated: boolean;
  /** The checker's reason, for people. */
  reason: string;
  tokens: number;
}
