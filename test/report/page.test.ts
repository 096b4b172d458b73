import { createHash } from 'node:crypto';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { renderPage } from '../../src/report/html/document.ts';
import { withMaths } from '../../src/report/html/maths.ts';
import { buildSummary } from '../../src/report/summary.ts';
import { parseSummary } from '../../src/report/summary-schema.ts';
import oldSummary from '../fixtures/summary-1.json' with { type: 'json' };
import { input } from './example.ts';
import { hostile, markupOf } from './hostile.ts';
import { reportExample, reportWith } from './page-example.ts';

const page = renderPage(reportExample);
const parse = (text: string) => parseHTML(text).document;
const headings = (text: string) => [...parse(text).querySelectorAll('h2')].map((heading) => heading.textContent);

describe('report.html', () => {
  it('answers in this order: did it work, what of, how it learnt, what it cost, why, from where', () => {
    expect(parse(page).querySelector('h1')?.textContent).toMatch(/^search-rl answers .*95 % interval/);
    expect(headings(page)).toEqual([
      'Did it work?',
      'From problems to rows',
      'Reinforcement learning',
      'Accuracy against tokens',
      'What it cost',
      'Problem by problem',
      'How they search',
      'The search trees',
      'What the checkpoints write',
      'Where it comes from',
    ]);
  });

  it('is the same bytes for the same data', () => {
    expect(renderPage(reportExample)).toBe(page);
  });

  it('loads nothing: no address in it but those inside the page and XML names', () => {
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"|url\(([^)]*)\)|@import/g)].map(
      (match) => match[1] ?? match[2],
    );
    expect(addresses.filter((address) => !/^(#|data:)/.test(address ?? ''))).toEqual([]);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:/);
  });

  it('runs one script, which the content policy knows by its hash', () => {
    const document = parse(page);
    const scripts = [...document.querySelectorAll('script:not([type="application/json"])')];
    const policy = document.querySelector('meta[http-equiv="Content-Security-Policy"]')?.getAttribute('content');
    expect(scripts).toHaveLength(1);
    const hash = createHash('sha256')
      .update(scripts[0]?.textContent ?? '')
      .digest('base64');
    expect(policy).toContain(`default-src 'none'; script-src 'sha256-${hash}';`);
  });

  it('has every link lead somewhere, and every id once', () => {
    const document = parse(page);
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const link of document.querySelectorAll('a[href^="#"]')) {
      expect(ids).toContain(link.getAttribute('href')?.slice(1));
    }
  });

  it('marks moves by a sign and a word, and numbers the backtracks', () => {
    const backtracks = [...parse(page).querySelectorAll('.transcript .move.backtrack .mark')];
    expect(backtracks.map(({ textContent }) => textContent)).toContain('↩ 1goes back, backtrack 1: ');
  });

  it('leaves out what a run does not have', () => {
    const summary = buildSummary(input({ evaluations: [], stages: [], rl: {}, problemSets: [] }));
    const bare = renderPage({ summary, trees: [], transcripts: [], config: null });
    expect(headings(bare)).toEqual(['From problems to rows', 'What it cost', 'Where it comes from']);
    expect(parse(bare).querySelector('h1')?.textContent).toBe('Nothing was scored.');
  });

  it('is made of a summary of before attempts and matrices were recorded, too', () => {
    const old = renderPage({ summary: parseSummary(oldSummary), trees: [], transcripts: [], config: null });
    expect(headings(old)).toContain('Did it work?');
    expect(/NaN|undefined/.exec(old.slice(0, old.indexOf('<script>')))).toBeNull();
  });

  it('stays below 3 MB for a large run', () => {
    const { summary: small } = reportExample;
    const eight = <T>(make: (i: number) => T): T[] => Array.from({ length: 8 }, (_, i) => make(i));
    const checkpoints = eight((i) => `checkpoint-${i}`);
    const problems = Array.from({ length: 500 }, (_, row) => ({
      id: `a-problem-with-a-long-name-${row}`,
      right: eight((i) => (row * 7 + i * 5) % 17),
      samples: eight(() => 16),
    }));
    const rl = small.rl.search!.slice(0, 1);
    const summary = {
      ...small,
      scores: eight((b) =>
        checkpoints.map((checkpoint) => ({ ...small.scores[0]!, checkpoint, benchmark: `benchmark-${b}` })),
      ).flat(),
      matrix: eight((b) => ({ benchmark: `benchmark-${b}`, checkpoints, problems, omitted: 9500, list: 'x' })),
      rl: {
        search: Array.from({ length: 5000 }, (_, iteration) => ({
          ...rl[0]!,
          iteration,
          meanReward: Math.sin(iteration),
        })),
      },
    };
    const [root] = reportExample.trees[0]!.tree.nodes;
    const nodes = Array.from({ length: 4000 }, (_, id) => ({
      ...root!,
      id,
      parent: id === 0 ? null : Math.floor((id - 1) / 8),
      depth: 0,
      text: 'a step of many words '.repeat(100),
      children: Array.from({ length: 8 }, (_, k) => id * 8 + 1 + k).filter((child) => child < 4000),
    }));
    const long = [{ kind: 'forward' as const, text: 'words '.repeat(100_000) }];
    const example = { ...reportExample.transcripts[0]!.examples[0]!, moves: long };
    const large = renderPage({
      summary,
      trees: Array.from({ length: 4 }, () => ({ why: 'x', problem: 'x', tree: { nodes }, row: null })),
      transcripts: Array.from({ length: 8 }, (_, i) => ({
        checkpoint: `c${i}`,
        benchmark: 'b',
        looked: 9,
        examples: [example, example, example, example],
      })),
      config: null,
    });
    expect(Buffer.byteLength(large)).toBeLessThan(3_000_000);
    expect(large).toContain('more characters');
    expect(large).toContain('least visited are not drawn');
  });
});

/** All that the page itself is made of. */
const own =
  /^(html|head|meta|title|link|body|header|main|nav|section|figure|figcaption|details|summary|h[1-4]|p|a|b|small|ul|ol|li|dl|dt|dd|div|span|table|thead|tbody|tr|th|td|button|pre|code|script|style|svg|g|path|rect|circle|line|text|tspan)$/;

describe('texts that would run something', () => {
  it('stay texts wherever they stand in the page', () => {
    const attacked = renderPage(reportWith(hostile));
    const document = parse(attacked);
    const found = markupOf(document.body.innerHTML, own).filter((one) => one !== '<span style>');
    expect(found).toEqual([]);
    expect(document.querySelectorAll('script:not([type="application/json"])')).toHaveLength(1);
    expect(document.querySelectorAll('script')).toHaveLength(1 + reportExample.trees.length);
    expect(document.querySelector('title')?.textContent).toContain('</script>');
    for (const data of document.querySelectorAll('.tree-data')) {
      expect(JSON.parse(data.textContent ?? '')[1].text).toBe(hostile);
    }
  });
});

describe('formulas', () => {
  it('are set where a text has them, with the fonts they need inside the page', () => {
    const set = renderPage(reportWith('If $x^2 = \\frac{1}{2}$, then \\(\\mathbb{R}\\) is \\boxed{\\sqrt{2}}.'));
    expect(set).toContain('class="katex"');
    expect(set).toContain('src:url(data:font/woff2;base64,');
    expect(set).toMatch(/font-family:KaTeX_AMS/);
    expect(set).not.toMatch(/url\(fonts|KaTeX_Fraktur;font-style:normal;font-weight:400;src/);
    expect(page).not.toContain('katex');
  });

  it('are not money, and what cannot be set stands as it was written', () => {
    const plain = (text: string) => withMaths(text).markup;
    for (const text of [
      'It costs $5 and then $10.',
      'between $3 or $4',
      'a $ b',
      '$',
      '\\boxed{',
      '\\(',
      '$\\frac{$',
    ]) {
      expect(plain(text)).not.toContain('katex');
    }
    expect(plain('$\\undefinedcommand{$')).not.toContain('<span');
    expect(plain('$x$ & <b>')).toMatch(/katex.* &#38; &#60;b&#62;$/s);
  });

  it('carry no link, no class, no image and no script', () => {
    for (const tex of [
      '\\href{javascript:alert(1)}{x}',
      '\\url{javascript:alert(1)}',
      '\\htmlClass{evil}{x}',
      '\\htmlStyle{background:url(//x)}{x}',
      '\\htmlData{a=b}{x}',
      '\\includegraphics{http://x/y.png}',
      '\\text{</annotation></math><script>alert(1)</script>}',
      '\\text{<img src=x onerror=alert(1)>}',
    ]) {
      const { markup } = withMaths(`$${tex}$`);
      const { document } = parseHTML(`<!doctype html><html><body>${markup}</body></html>`);
      expect(document.querySelectorAll('a, script, img, [href], [src], .evil, [data-a], [onerror]'), tex).toHaveLength(
        0,
      );
      expect(markup).not.toMatch(/style="[^"]*url/);
    }
  });
});
