import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { exposedName, type MetricDefinition, type MetricName, metrics } from '../../src/core/metrics.ts';
import { labelsIn, seriesIn } from '../support/promql.ts';

const read = (file: string) => readFileSync(file, 'utf8');
const scraped = JSON.parse(read('test/fixtures/scraped-metrics.json')) as { sdk: string[]; server: string[] };

interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  annotations?: { summary: string; runbook: string };
}
const rules = (parse(read('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const alerts = rules.filter((rule) => rule.alert !== undefined);

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}
const dashboard = JSON.parse(read('deploy/grafana/dashboards/astroflow.json')) as {
  uid: string;
  schemaVersion: number;
  templating: { list: { name: string; query: { query: string } }[] };
  panels: Panel[];
};
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

/** What a series of ours may be asked by; null for a name that nobody exposes. */
function labelsOf(series: string): readonly string[] | null {
  const name = (Object.keys(metrics) as MetricName[]).find((one) =>
    [exposedName(one), ...['bucket', 'count', 'sum'].map((part) => `${exposedName(one)}_${part}`)].includes(series),
  );
  if (name === undefined) return null;
  const { kind, labels }: MetricDefinition = metrics[name];
  if (kind !== 'histogram' && series !== exposedName(name)) return null;
  return kind === 'histogram' ? [...labels, 'le'] : labels;
}

const known = new Set([
  'up',
  ...rules.flatMap(({ record }) => record ?? []),
  ...[...scraped.sdk, ...scraped.server].flatMap((name) => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]),
]);

describe.each([
  ['the dashboard', queries],
  ['the rules', rules.map(({ record, alert, expr }) => ({ title: record ?? alert ?? '', expr }))],
])('%s', (_of, expressions) => {
  it.each(expressions)('asks for series that exist: $title, $expr', ({ expr }) => {
    const plain = expr.replaceAll(/\$__(rate_interval|range)/g, '5m').replaceAll('$run', 'demo');
    expect(seriesIn(plain).filter((name) => labelsOf(name) === null && !known.has(name))).toEqual([]);
    const ours = seriesIn(plain).map(labelsOf);
    if (ours.some((labels) => labels === null)) return;
    const possible = [...ours.flatMap((labels) => labels ?? []), 'instance', 'activityType'];
    expect(labelsIn(plain).filter((label) => !possible.includes(label))).toEqual([]);
  });
});

describe('what a query asks for', () => {
  it('is read from PromQL', () => {
    const text =
      'sum by (le, run) (rate(a_b_bucket{x="c and d", y=~"e"}[5m])) / on (run) group_left () max(f:g) > 0.5 or vector(0)';
    expect([seriesIn(text), labelsIn(text)]).toEqual([
      ['a_b_bucket', 'f:g'],
      ['x', 'y', 'le', 'run'],
    ]);
    expect(labelsOf('astroflow_problems')).toBeNull();
    expect(labelsOf('astroflow_problems_total_count')).toBeNull();
  });
});

describe('the dashboard', () => {
  it('is laid out without gaps in its ids or panels over each other', () => {
    expect(dashboard.panels.map(({ id }) => id)).toEqual(dashboard.panels.map((_, index) => index + 1));
    const places = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`);
    });
    expect(new Set(places).size).toBe(places.length);
  });

  it('asks the data source that is provisioned, and chooses runs by a metric of ours', () => {
    const { datasources } = parse(read('deploy/grafana/provisioning/datasources/prometheus.yml'));
    expect(datasources).toMatchObject([{ uid: 'prometheus', type: 'prometheus' }]);
    const uids = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ datasource }) => datasource.uid));
    expect([...new Set(uids)]).toEqual(['prometheus']);
    expect(dashboard.templating.list.map(({ query }) => query.query)).toEqual([
      'label_values(astroflow_run_open, run)',
    ]);
  });

  it('shows every metric of ours, or the rules do', () => {
    const asked = [...queries, ...rules].flatMap(({ expr }) => seriesIn(expr));
    const unseen = (Object.keys(metrics) as MetricName[]).filter(
      (name) => !asked.some((series) => series.startsWith(exposedName(name))),
    );
    expect(unseen).toEqual(['astroflow_stages']);
  });
});

describe('alerts', () => {
  const headings = new Set(
    [...read('docs/runbook.md').matchAll(/^#+ (.*)$/gm)].map(
      ([, title = '']) =>
        `docs/runbook.md#${title
          .toLowerCase()
          .replace(/[^\w\s-]/g, '')
          .replace(/\s/g, '-')}`,
    ),
  );

  it.each(alerts)('$alert leads to a heading of the runbook, which names it', ({ alert, annotations }) => {
    expect(headings).toContain(annotations?.runbook);
    expect(read('docs/runbook.md')).toContain(`\`${alert}\``);
  });

  it('are each tested', () => {
    const { tests } = parse(read('deploy/prometheus/alerts.test.yml')) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
    };
    const fired = tests.flatMap(({ alert_rule_test }) =>
      alert_rule_test.flatMap(({ alertname, exp_alerts }) => (exp_alerts.length > 0 ? alertname : [])),
    );
    expect(alerts.map(({ alert }) => alert).filter((alert) => !fired.includes(alert ?? ''))).toEqual([]);
  });
});

/** Debian's package `prometheus` has it, as every release of Prometheus. */
const promtool = process.env.PROMTOOL ?? 'promtool';
const hasPromtool = spawnSync(promtool, ['--version']).status === 0;

describe.skipIf(!hasPromtool)('promtool (skipped where there is none; PROMTOOL names it)', () => {
  it('takes configuration and rules, and every alert fires when it should', () => {
    const run = (...args: string[]) => execFileSync(promtool, args, { encoding: 'utf8', stdio: 'pipe' });
    expect(run('check', 'config', 'deploy/prometheus/prometheus.yml')).toContain('SUCCESS');
    expect(run('test', 'rules', 'deploy/prometheus/alerts.test.yml')).toContain('SUCCESS');
  }, 60_000);
});

describe('docs/observability.md', () => {
  it('has the list of metrics that the code has', () => {
    const rows = (Object.entries(metrics) as [MetricName, MetricDefinition][]).map(
      ([name, { kind, labels, meaning }]) =>
        `| \`${exposedName(name)}\` | ${kind} | ${labels.join(', ')} | ${meaning.replaceAll('|', '\\|')} |`,
    );
    const written = read('docs/observability.md')
      .split('\n')
      .filter((line) => line.startsWith('| `astroflow_'));
    expect(written).toEqual(rows);
  });

  it('names files that are there', () => {
    const files = [...read('docs/observability.md').matchAll(/`(deploy\/[^`\s]+)`/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(4);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });
});

it('the collector takes what workers send, and shows its own metrics where they are scraped', () => {
  const { receivers, service } = parse(read('deploy/otel/collector.yaml'));
  expect(receivers.otlp.protocols.http.endpoint).toBe('0.0.0.0:4318');
  expect(service.pipelines.traces.receivers).toEqual(['otlp']);
  const [{ pull }] = service.telemetry.metrics.readers;
  const { scrape_configs: jobs } = parse(read('deploy/prometheus/prometheus.yml'));
  const targets = jobs.flatMap((job: { static_configs?: { targets: string[] }[] }) =>
    (job.static_configs ?? []).flatMap((config) => config.targets),
  );
  expect(targets).toContain(`otel-collector:${pull.exporter.prometheus.port}`);
});
