import type { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { runConfigSchema } from '../config/schema.ts';
import { mostKeywordCharacters, outsideStages, searchAttributes } from '../core/search-attributes.ts';
import type { ConfigDocument } from './config-file.ts';

/** Of a look at the server's search attributes, and of making them. */
const probeMs = 5000;

/** `code`: Temporal's `IndexedValueType`. */
export const wantedAttributes = [
  { name: searchAttributes.run, type: 'Keyword', code: 2 },
  { name: searchAttributes.stage, type: 'Keyword', code: 2 },
  { name: searchAttributes.model, type: 'Keyword', code: 2 },
  { name: searchAttributes.attention, type: 'Bool', code: 5 },
] as const;

/**
 * What a run is started with: those attributes that the server has. Those that it lacks are made, if it lets us, for runs
 * to come: a cluster may take a minute until all of it knows them, and a start with an unknown one fails.
 */
export async function startAttributes(
  client: Client,
  { run, workflow, document }: { run: string; workflow: string; document: ConfigDocument },
): Promise<TypedSearchAttributes> {
  const known = await knownAttributes(client);
  if (known === null) return new TypedSearchAttributes([]);
  await addAttributes(
    client,
    wantedAttributes.filter(({ name }) => !known.has(name)),
  );
  const has = (name: string) => wantedAttributes.some((one) => one.name === name && known.get(name) === one.code);
  const keywords = {
    [searchAttributes.run]: run,
    [searchAttributes.stage]: workflow === 'astroPipeline' ? outsideStages.before : workflow,
    [searchAttributes.model]: modelOf(document),
  };
  return new TypedSearchAttributes([
    ...Object.entries(keywords).flatMap(([name, value]) =>
      has(name) && value !== ''
        ? [
            {
              key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
              value: value.slice(0, mostKeywordCharacters),
            },
          ]
        : [],
    ),
    ...(has(searchAttributes.attention)
      ? [{ key: defineSearchAttributeKey(searchAttributes.attention, SearchAttributeType.BOOL), value: false }]
      : []),
  ]);
}

/** Names with their types' codes; null: a server that does not say is treated as one without. */
async function knownAttributes({ connection, options }: Client): Promise<Map<string, number> | null> {
  try {
    const { customAttributes } = await connection.withDeadline(Date.now() + probeMs, () =>
      (connection as Connection).operatorService.listSearchAttributes({ namespace: options.namespace }),
    );
    return new Map(Object.entries(customAttributes ?? {}));
  } catch {
    return null;
  }
}

/** A server that refuses (no right to, no room for more) goes without: the run does not depend on them. */
async function addAttributes(
  { connection, options }: Client,
  missing: readonly (typeof wantedAttributes)[number][],
): Promise<void> {
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map(({ name, code }) => [name, code]));
  try {
    await connection.withDeadline(Date.now() + probeMs, () =>
      (connection as Connection).operatorService.addSearchAttributes({
        namespace: options.namespace,
        searchAttributes,
      }),
    );
  } catch {
    // The next start tries again.
  }
}

/** The base model's name, as the configuration has it or by default; nothing where the configuration is wrong. */
function modelOf(document: ConfigDocument): string {
  const policy = runConfigSchema.shape.policy.safeParse(document.policy);
  return policy.success ? policy.data.base : '';
}
