import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredStageResult } from '../src/activities/results.ts';
import type { Checkpoint } from '../src/core/checkpoint.ts';
import { addUsage, noUsage, type Usage } from '../src/core/usage.ts';
import { differences } from './differences.ts';
import type { Lap } from './lap.ts';
import { compareLedgers } from './ledger.ts';
import { checkRounds, countPlanned } from './rounds.ts';
import type { Target } from './schedule.ts';
import { checkSteps } from './steps.ts';
import { pick, type Stored } from './stored.ts';

export interface Report {
  kills: Record<Target, number>;
  lostRounds: number;
  duplicateRounds: number;
  repeatedOptimizerSteps: number;
  /** Errors of the books, and tokens and calls credited more or less than in the undisturbed run. */
  ledgerDifference: number;
  /** About: what services took for calls that nobody could use any more. The price of the kills. */
  secondsOfUsefulWorkRepeated: number;
  credited: Usage;
  wasted: Usage;
  /** Processes that ended although nobody killed them. */
  ownEnds: Partial<Record<Target, number>>;
  /** Everything that is not as it should be, by name. */
  differences: string[];
}

/** Holds every disturbed run against its undisturbed one. */
export function judge(laps: readonly Lap[], options: { engine: boolean; latencyMs: number }): Report {
  const report: Report = {
    kills: { worker: 0, engine: 0, server: 0 },
    lostRounds: 0,
    duplicateRounds: 0,
    repeatedOptimizerSteps: 0,
    ledgerDifference: 0,
    secondsOfUsefulWorkRepeated: 0,
    credited: noUsage,
    wasted: noUsage,
    ownEnds: {},
    differences: [],
  };
  for (const { reference, disturbed, engineData, kills, ownEnds, ledgers } of laps) {
    for (const target of kills) report.kills[target] += 1;
    for (const [target, ends] of Object.entries(ownEnds) as [Target, number][])
      report.ownEnds[target] = (report.ownEnds[target] ?? 0) + ends;

    const rounds = checkRounds(disturbed, countPlanned(reference));
    const steps = checkSteps(disturbed, options.engine ? engineCount(engineData) : () => null);
    // What a model samples depends on what it is asked at the same time; what a script writes does not.
    const ledger = compareLedgers(options.engine ? null : ledgers.reference, ledgers.disturbed);
    const { credited, wasted } = ledgers.disturbed.total;
    report.lostRounds += rounds.lostRounds;
    report.duplicateRounds += rounds.duplicateRounds;
    report.repeatedOptimizerSteps += steps.repeatedOptimizerSteps;
    report.ledgerDifference += ledger.difference;
    report.credited = addUsage(report.credited, credited);
    report.wasted = addUsage(report.wasted, wasted ?? noUsage);
    report.secondsOfUsefulWorkRepeated += options.engine
      ? (wasted?.completionTokens ?? 0) * secondsPerToken(reference)
      : ((wasted?.calls ?? 0) * options.latencyMs) / 2 / 1000;
    report.differences.push(...rounds.notes, ...steps.notes, ...ledger.notes);
    if (!options.engine) report.differences.push(...differences(reference, disturbed));
  }
  report.secondsOfUsefulWorkRepeated = Math.round(report.secondsOfUsefulWorkRepeated * 10) / 10;
  return report;
}

/** The engine writes into each checkpoint how many optimiser steps made it. */
function engineCount(data: string) {
  return ({ trainerState }: Checkpoint): number | null => {
    const path = trainerState?.replace('tinker://', '');
    if (path === undefined) return null;
    const meta = join(data, 'checkpoints', path, 'meta.json');
    if (!existsSync(meta)) return 0;
    return (JSON.parse(readFileSync(meta, 'utf8')) as { optimizer_steps: number }).optimizer_steps;
  };
}

/** By the undisturbed run's search, whose calls share the engine. */
function secondsPerToken(reference: Stored): number {
  const result = pick<StoredStageResult>(reference, /^search\/.*\/result\.json$/)[0]?.values[0];
  return result === undefined ? 0 : (result.endedAtMs - result.startedAtMs) / 1000 / result.usage.completionTokens;
}
