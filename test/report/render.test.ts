import { describe, expect, it } from 'vitest';
import { integer, percent, points, pValue, seconds } from '../../src/report/format.ts';
import { renderReport } from '../../src/report/markdown.ts';
import { scoreNotes } from '../../src/report/score-notes.ts';
import { buildSummary } from '../../src/report/summary.ts';
import { type Summary, summarySchema } from '../../src/report/summary-schema.ts';
import { renderScores } from '../../src/report/terminal.ts';
import { claim, verdict } from '../../src/report/verdict.ts';
import { example, input, stage, summaryWith } from './example.ts';

const better = { difference: 0.231, low: 0.18, high: 0.28, pValue: 0.0001 };
const worse = { difference: -0.08, low: -0.12, high: -0.04, pValue: 0.002 };
const unresolved = { difference: 0.012, low: -0.02, high: 0.044, pValue: 0.41 };

describe('verdict', () => {
  it('says better, worse or not resolved, each with its interval and p-value', () => {
    expect(verdict(summaryWith(better))).toMatch(
      /^search-rl answers \d+\.\d % of new-numbers right and base \d+\.\d %: better by 23\.1 points \(95 % interval \+18\.0 to \+28\.0, p < 0\.001\)\.$/,
    );
    expect(verdict(summaryWith(worse))).toContain('worse by 8.0 points (95 % interval −12.0 to −4.0, p = 0.002)');
    expect(verdict(summaryWith(unresolved))).toMatch(
      /the difference of \+1\.2 points is not resolved .* differences of \d+\.\d points and more/,
    );
  });

  it('calls a difference unresolved when its interval only touches zero', () => {
    expect(verdict(summaryWith({ ...better, low: 0 }))).toContain('not resolved');
  });

  it('gives the score alone when there is nothing to compare', () => {
    const evaluations = input().evaluations.slice(0, 1);
    expect(verdict(buildSummary(input({ evaluations })))).toMatch(/^base answers .* no second checkpoint/);
    expect(verdict(buildSummary(input({ evaluations: [] })))).toBe('Nothing was scored.');
    expect(claim(buildSummary(input({ evaluations })))).toBeNull();
  });
});

describe('a run that trains nothing', () => {
  const base = input().evaluations.filter(({ checkpoint }) => checkpoint === 'base');
  const stages = [stage('search', 0, 60), stage('linearize', 60, 62), stage('evaluate', 62, 90)];
  const untrained = buildSummary(input({ evaluations: base, stages, rl: {} }));

  it('has a score and says why there is nothing to compare it with', () => {
    expect(summarySchema.parse(untrained)).toEqual(untrained);
    expect(untrained.comparisons).toEqual([]);
    expect(verdict(untrained)).toMatch(/^base answers .*; nothing was trained that it could be compared with\.$/);
    expect(claim(untrained)).toBeNull();
  });

  it('speaks of no training seed, no difference and no curve', () => {
    for (const text of [renderReport(untrained), renderScores(untrained, { color: false, width: 300 })]) {
      expect(text).toContain('Intervals cover the choice of problems and of samples.\n');
      expect(text).not.toMatch(/training seed|difference|Reinforcement/);
      expect(text).toContain('base');
    }
  });
});

describe('what is to know of the problems', () => {
  const dropped = [
    { set: 'evaluate.benchmarks.gsm8k-test', count: 1200, list: 'problems/a-dropped.jsonl' },
    { set: 'search.problems', count: 1, list: 'problems/b-dropped.jsonl' },
  ];
  const overlap = [
    { set: 'evaluate.benchmarks.gsm8k-test', count: 3, exact: 1, leftOut: false, list: 'runs/demo/overlap-c.jsonl' },
  ];
  const told = [
    '1,200 problems of gsm8k-test left out: their answers cannot be checked, see problems/a-dropped.jsonl.',
    '1 problem of search.problems left out: its answer cannot be checked, see problems/b-dropped.jsonl.',
    '3 problems of gsm8k-test also stand in the training data (1 exactly, 2 by 13 words in a row), see runs/demo/overlap-c.jsonl.',
  ];

  it('stands in summary, report and terminal', () => {
    const summary = buildSummary(input({ dropped, overlap }));
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toEqual(summary);
    expect(summary).toMatchObject({ dropped, overlap });
    for (const text of [renderReport(summary), renderScores(summary, { color: false, width: 300 })]) {
      for (const note of told) expect(text).toContain(`${note}\n`);
    }
  });

  it('keeps to the width of the terminal, long paths too', () => {
    const list = `runs/${'r'.repeat(40)}/overlap-0123456789ab.jsonl`;
    const text = renderScores(buildSummary(input({ overlap: [{ ...overlap[0]!, list }] })), {
      color: false,
      width: 40,
    });
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(text.replaceAll('\n', '')).toContain(list);
  });

  it('is nothing where nothing was left out and nothing overlaps', () => {
    expect(example).not.toHaveProperty('dropped');
    expect(renderReport(example)).not.toMatch(/left out|training data/);
  });
});

describe('what is to know of the scores', () => {
  const texts = (summary: Summary) => [renderReport(summary), renderScores(summary, { color: false, width: 400 })];

  it('is nothing where every sample was answered and all were asked in one way', () => {
    expect(scoreNotes(example)).toEqual([]);
  });

  it('names samples without an answer, with the score that leaves them out', () => {
    const [base] = input().evaluations;
    const answers = base!.answers.map((answer, i) => (i < 4 ? { ...answer, error: 'refused' } : answer));
    const summary = buildSummary(input({ evaluations: [{ ...base!, answers }] }));
    const note =
      '4 samples of base on new-numbers got no answer from the service, all of 1 problem among them: they count as ' +
      `wrong; without them it is ${percent(summary.scores[0]!.passAt1WithoutErrors!.value)}.`;
    for (const text of texts(summary)) expect(text).toContain(note);
    expect(renderReport(summary)).toMatch(/\| base \| \d+ \| \d+ \| 0 \| 0 \| \d+ \| 4 \|/);
  });

  it('warns where two checkpoints were asked in two ways', () => {
    const [base, , , rl] = input().evaluations;
    const protocol = { ...rl!.protocol!, grader: 2 };
    const summary = buildSummary(input({ evaluations: [base!, { ...rl!, protocol }] }));
    for (const text of texts(summary))
      expect(text).toContain('search-rl and base were asked or graded in different ways on new-numbers');
  });

  it('says how answers revise themselves, where waste comes from, and where training was restarted', () => {
    const stages = [stage('search', 0, 60, { wastedBy: { 'client gone': { calls: 2, tokens: 1200 } } })];
    const report = renderReport(buildSummary(input({ stages })));
    expect(report).toContain('| first right | recovered | harmed | repeated |');
    expect(report).toContain('Why they were wasted: search: 1,200 tokens in 2 calls (client gone).');
    expect(report).toContain('from a checkpoint, at: 7, 12.');
    expect(report).toContain('41 of 60 problems are of a family that training saw');
    expect(report).toMatch(/protocol of new-numbers \(base, .*\): `[0-9a-f]{16}`, temperature 1, at most 240 tokens/);
  });
});

describe('scores in a terminal', () => {
  const summary = summaryWith(better);

  it('shows each benchmark with scores, intervals, differences, the verdict and what intervals cover', () => {
    const text = renderScores(summary, { color: false, width: 100 });
    expect(text).toContain('new-numbers (60 problems × 4 samples)');
    expect(text).toMatch(/search-rl +\d+\.\d % +\[\d+\.\d, \d+\.\d\] +\d+ +2\.0 +\d+\.\d % {2}█+/);
    expect(text).toMatch(/search-rl − base +\+23\.1 +\[\+18\.0, \+28\.0\] +< 0\.001/);
    expect(text).toMatch(/better by 23\.1\s+points/);
    expect(text).toMatch(/one\s+training\s+seed/);
  });

  it('aligns columns: the cells of one column end in one place', () => {
    const lines = renderScores(summary, { color: false, width: 60 }).split('\n');
    const rows = lines.filter((line) => /^(base|direct-sft|search-sft|search-rl|direct-rl) +\d/.test(line)).slice(0, 5);
    expect(rows).toHaveLength(5);
    expect(new Set(rows.map((row) => row.indexOf('%'))).size).toBe(1);
    expect(new Set(rows.map((row) => row.indexOf(']'))).size).toBe(1);
  });

  it('never writes a line wider than the terminal and always keeps names and scores', () => {
    for (const width of [40, 60, 80, 120]) {
      const lines = renderScores(summary, { color: false, width }).split('\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(lines.some((line) => /^search-rl +\d+\.\d %/.test(line))).toBe(true);
    }
  });

  it('writes no escape codes without colour, and the same words with it', () => {
    const plain = renderScores(summary, { color: false, width: 80 });
    const colored = renderScores(summary, { color: true, width: 80 });
    const escapes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
    expect(plain).not.toMatch(escapes);
    expect(colored).toMatch(escapes);
    expect(colored.replace(escapes, '')).toBe(plain);
  });

  it('says so when nothing was scored', () => {
    expect(renderScores(buildSummary(input({ evaluations: [] })), { color: false, width: 80 })).toContain(
      'Nothing was scored.',
    );
  });
});

describe('report for people', () => {
  const report = renderReport(example);

  it('opens with the verdict and the claim, then says what intervals cover', () => {
    const [title, first, second, third] = report.split('\n\n');
    expect(title).toBe('# Run demo');
    expect(first).toMatch(/^\*\*search-rl answers .*\*\*$/);
    expect(second).toMatch(/^The paper's claim in miniature, .*: search-rl answers .* and direct-rl/);
    expect(third).toContain('one training seed');
  });

  it('holds scores, comparisons, funnel, cost, curve and provenance', () => {
    expect(report).toContain('## Scores: new-problems (60 problems × 4 samples)');
    expect(report).toContain('| search-rl − direct-rl |');
    expect(report).toContain('| pass@4 |');
    expect(report).toContain('| ≤ 240 |');
    expect(report).toContain('| rejected: no wrong terminal | 10 |');
    expect(report).toContain('| search | 60.0 s | 10 | 1,234,567 | n/a | made by this run |');
    expect(report).toContain('| sft, search |');
    expect(report).toContain('took 2 min 30 s');
    expect(report).toContain('## Reinforcement learning: search');
    expect(report).toContain('- trees: `search/abc`');
  });

  it('says what judge and narrator did, where models filled these roles', () => {
    expect(report).not.toContain('judged');
    const usage = { calls: 30, promptTokens: 900, completionTokens: 300 };
    const rejectedRows = { 'narration: a wrong answer was lost': 4 };
    const counts = { judged: 12, approved: 9, votes: 96, unreadVotes: 2, narrated: 1800, fallbacks: 7, rejectedRows };
    const { funnel } = input();
    const spoken = renderReport(buildSummary({ ...input(), funnel: { ...funnel, language: { ...counts, usage } } }));
    for (const row of [
      '| right solutions judged | 12 |',
      '| right solutions approved | 9 |',
      '| votes without a verdict | 2 |',
      '| events narrated | 1,800 |',
      '| events a template wrote instead | 7 |',
      '| rows rejected: narration: a wrong answer was lost | 4 |',
    ]) {
      expect(spoken).toContain(row);
    }
  });

  it('thins long curves and keeps their ends', () => {
    const curve = report.split('## Reinforcement learning: search')[1]!.split('\n\n')[1]!.split('\n').slice(2);
    expect(curve.length).toBeLessThanOrEqual(11);
    expect(curve[0]).toMatch(/^\| 0 \|.*\| n\/a \|$/);
    expect(curve.at(-1)).toMatch(/^\| 29 \|/);
  });

  it('has rows of one length in every table, whatever the names hold', () => {
    const funnel = { ...input().funnel, rejected: { 'a | b\nc': 1 } };
    const tables = renderReport(buildSummary(input({ funnel })))
      .split('\n\n')
      .filter((block) => block.startsWith('|'));
    for (const table of tables) {
      const cells = table.split('\n').map((row) => row.split(/(?<!\\)\|/).length);
      expect(new Set(cells).size).toBe(1);
    }
  });
});

describe('numbers', () => {
  it('read the same everywhere', () => {
    expect([points(0.1234), points(-0.05), points(0), points(-0.0001)]).toEqual(['+12.3', '−5.0', '0.0', '0.0']);
    expect([pValue(0.0004), pValue(0.0421)]).toEqual(['< 0.001', '0.042']);
    expect([integer(999), integer(1234567)]).toEqual(['999', '1,234,567']);
    expect([seconds(12.34), seconds(150), seconds(359.7)]).toEqual(['12.3 s', '2 min 30 s', '6 min 0 s']);
  });
});
