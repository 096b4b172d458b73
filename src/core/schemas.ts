/**
 * Every kind of stored object, with the version that this release writes. Objects say `astroflow.<kind>/<version>` in
 * their field `schema`. Readers understand all versions up to the one that is written: a new field is optional for
 * them, and a change that is more than that raises the version and has a reader for the old one.
 */
export const storedVersions = {
  answer: 1,
  'forward-pass': 1,
  funnel: 1,
  'lost-calls': 1,
  matrix: 1,
  plan: 1,
  probe: 1,
  'rl-update': 1,
  'role-answer': 1,
  rollout: 1,
  'row-part': 1,
  'search-round': 1,
  'search-tree': 1,
  'sft-row': 1,
  'sft-step': 1,
  'stage-result': 1,
  summary: 2,
  'trained-by-job': 1,
  'tree-index': 1,
  'tree-rows': 1,
} as const satisfies Record<string, number>;

const known: ReadonlyMap<string, number> = new Map(Object.entries(storedVersions));
const form = /^astroflow\.([a-z-]+)\/(\d+)$/;

/**
 * Null when this release can read the value: its schema is one of those above, or it has none, as problem rows,
 * configurations and what release 0.1 stored of some kinds. Otherwise what it is, for a message.
 */
export function unreadableSchema(value: unknown): { schema: string; reads: number | null } | null {
  if (typeof value !== 'object' || value === null || !('schema' in value)) return null;
  const { schema } = value;
  const [, kind, version] = (typeof schema === 'string' && form.exec(schema)) || [];
  if (kind === undefined || typeof schema !== 'string') return null;
  const reads = known.get(kind) ?? null;
  return reads !== null && Number(version) <= reads ? null : { schema, reads };
}
