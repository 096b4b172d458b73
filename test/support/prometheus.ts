export interface Sample {
  /** As exposed: `…_total`, `…_bucket`, … */
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface Scrape {
  samples: Sample[];
  /** By name without suffix. */
  types: Map<string, string>;
  help: Map<string, string>;
  /** Sum of all samples of a name whose labels are these and any others; null where there is none. */
  sum(name: string, labels?: Record<string, string>): number | null;
}

/** Prometheus' text format, version 0.0.4. @throws Error at a line that is none of it */
export function parseExposition(text: string): Scrape {
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const help = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (TYPE|HELP) (\S+) ?(.*)$/.exec(line) ?? [];
    if (kind !== undefined) (kind === 'TYPE' ? types : help).set(name, rest);
    else samples.push(parseSample(line));
  }
  return {
    samples,
    types,
    help,
    sum(name, labels = {}) {
      const found = samples.filter(
        (sample) =>
          sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      );
      return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

function parseSample(line: string): Sample {
  const [, name, inside = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`no sample of Prometheus' text format: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, label = '', quoted = ''] of inside.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g))
    labels[label] = quoted.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
  return { name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) };
}

export async function scrape(address: string): Promise<Scrape> {
  const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`${address} answers ${response.status}`);
  return parseExposition(await response.text());
}
