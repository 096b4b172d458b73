import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../src/core/checkpoint.ts';
import { joinAccounts } from './accounts.ts';
import { differences } from './differences.ts';
import { readJournal, type Served } from './journal.ts';
import type { Lap } from './lap.ts';
import { checkRounds, countPlanned } from './rounds.ts';
import type { Target } from './schedule.ts';
import { latencyOf } from './slow-services.ts';
import { checkSteps } from './steps.ts';
import { pick, type Stored } from './stored.ts';

export interface Report {
  kills: Record<Target, number>;
  lostRounds: number;
  duplicateRounds: number;
  repeatedOptimizerSteps: number;
  /** Tokens. */
  ledgerDifference: number;
  /** What services computed for calls that nobody could use any more: the price of the kills. */
  secondsOfUsefulWorkRepeated: number;
  credited: { calls: number; tokens: number };
  wasted: { calls: number; tokens: number };
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
    credited: { calls: 0, tokens: 0 },
    wasted: { calls: 0, tokens: 0 },
    ownEnds: {},
    differences: [],
  };
  for (const { reference, disturbed, engineData, kills, ownEnds } of laps) {
    for (const target of kills) report.kills[target] += 1;
    for (const [target, ends] of Object.entries(ownEnds) as [Target, number][])
      report.ownEnds[target] = (report.ownEnds[target] ?? 0) + ends;

    const rounds = checkRounds(disturbed, countPlanned(reference));
    const steps = checkSteps(disturbed, options.engine ? engineCount(engineData) : () => null);
    const accounts = joinAccounts(disturbed, readJournal(engineData));
    report.lostRounds += rounds.lostRounds;
    report.duplicateRounds += rounds.duplicateRounds;
    report.repeatedOptimizerSteps += steps.repeatedOptimizerSteps;
    report.ledgerDifference += accounts.ledgerDifference;
    report.credited.calls += accounts.credited.calls;
    report.credited.tokens += accounts.credited.tokens;
    report.wasted.calls += accounts.wasted.length;
    report.wasted.tokens += accounts.wasted.reduce((sum, line) => sum + line.completionTokens, 0);
    const secondsOf = options.engine
      ? bySpeed(reference)
      : ({ call }: Served) => latencyOf(call, options.latencyMs) / 1000;
    report.secondsOfUsefulWorkRepeated += accounts.wasted.reduce((sum, line) => sum + secondsOf(line), 0);
    report.differences.push(...rounds.notes, ...steps.notes, ...accounts.notes);
    // A model on several threads may answer otherwise when it is asked again; a scripted one may not.
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

/** Seconds of a call by the speed of the undisturbed run's search, whose calls share the engine. */
function bySpeed(reference: Stored) {
  const result = pick<{ startedAtMs: number; endedAtMs: number; usage: { completionTokens: number } }>(
    reference,
    /^search\/.*\/result\.json$/,
  )[0]?.values[0];
  const perToken =
    result === undefined ? 0 : (result.endedAtMs - result.startedAtMs) / 1000 / result.usage.completionTokens;
  return ({ completionTokens }: Served) => completionTokens * perToken;
}
