import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkAnswer, extractAnswer } from '../../../src/core/verify/index.ts';

interface Row {
  kind?: 'extract';
  gold?: string;
  prediction?: string;
  response?: string;
  verdict: true | 'not-true';
  extracted?: string | null;
  why: string;
}

const folder = new URL('./cases/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));

/** One line for every case that is decided otherwise than its label: `file:line why: what`. */
function disagreements(file: string): string[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').trim().split('\n');
  return lines.flatMap((line, index) => {
    const row = JSON.parse(line) as Row;
    const report = (what: string): string[] => [`${file}:${index + 1} ${row.why}: ${what}`];
    if (row.kind === 'extract') {
      const found = extractAnswer(row.response ?? '')?.answer ?? null;
      return found === row.extracted ? [] : report(`extracted ${found}`);
    }
    const answer = row.prediction ?? extractAnswer(row.response ?? '')?.answer;
    const verdict =
      answer === undefined
        ? { equal: false, reason: 'no answer' }
        : checkAnswer(extractAnswer(row.gold ?? '')?.answer ?? row.gold ?? '', answer);
    return (verdict.equal === true) === (row.verdict === true) ? [] : report(`${verdict.equal}, ${verdict.reason}`);
  });
}

/** Pairs that rewards would accept and evaluation would not. */
function strictOnly(file: string): string[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').trim().split('\n');
  return lines.filter((line) => {
    const { gold, prediction } = JSON.parse(line) as Row;
    if (gold === undefined || prediction === undefined) return false;
    const strict = checkAnswer(gold, prediction, { strict: true });
    return strict.equal === true && checkAnswer(gold, prediction).equal !== true;
  });
}

describe('the strict mode', () => {
  it.each(files)('accepts nothing more: %s', (file) => expect(strictOnly(file)).toEqual([]));
});

describe('cases labelled without looking at the checker', () => {
  it.each(files)('%s', (file) => expect(disagreements(file)).toEqual([]));
  it('are many', () => expect(files.length).toBeGreaterThan(20));
});
