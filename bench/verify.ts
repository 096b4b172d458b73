import { readdirSync, readFileSync } from 'node:fs';
import { checkAnswer, extractAnswer } from '../src/core/verify/index.ts';
import type { VerifyResult } from './report.ts';

interface Case {
  kind?: 'extract';
  gold: string;
  prediction?: string;
  response?: string;
}

/** Every labelled case of the checker's tests, `rounds` times over, after one round that is not counted. */
export function measureVerify(rounds: number): VerifyResult {
  const cases = readCases(new URL('../test/core/verify/cases/', import.meta.url));
  for (const one of cases) check(one);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const one of cases) {
      const start = performance.now();
      check(one);
      times.push(performance.now() - start);
    }
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] as number;
  const total = times.reduce((sum, time) => sum + time, 0);
  return {
    checks: { count: times.length, seconds: total / 1000 },
    ms: { mean: total / times.length, p50: at(0.5), p99: at(0.99), max: at(1) },
  };
}

function check({ gold, prediction, response }: Case): void {
  const answer = prediction ?? extractAnswer(response ?? '')?.answer;
  if (answer !== undefined) checkAnswer(gold, answer);
}

function readCases(folder: URL): Case[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  const lines = files.flatMap((name) => readFileSync(new URL(name, folder), 'utf8').split('\n'));
  const cases = lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as Case);
  return cases.filter(({ kind }) => kind !== 'extract');
}
