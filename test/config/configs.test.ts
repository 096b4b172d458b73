import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runConfigJsonSchemaText } from '../../src/config/json-schema.ts';
import { parseRunConfig } from '../../src/config/parse.ts';
import { runConfigSchema } from '../../src/config/schema.ts';

const folder = new URL('../../configs/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder), 'utf8');
const names = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'run-config.schema.json');

describe('the shipped configurations', () => {
  it.each(names)('%s is valid and names the schema for editors', (name) => {
    const config = JSON.parse(read(name));
    const parsed = parseRunConfig(config);
    expect('problems' in parsed ? parsed.problems : []).toEqual([]);
    expect(config.$schema).toBe('./run-config.schema.json');
  });

  it('come with an up-to-date JSON Schema (npm run schema)', () => {
    expect(read('run-config.schema.json')).toBe(runConfigJsonSchemaText());
  });
});

describe('notes', () => {
  const notedFiles = names.filter((name) => JSON.parse(read(name)).notes !== undefined);

  it('exist for the paper’s setting', () => {
    expect(notedFiles).toContain('paper-70b.json');
  });

  it.each(notedFiles)('%s: every value is covered by one note, and every note covers a value', (name) => {
    const { $schema: _schema, run: _run, notes, ...config } = JSON.parse(read(name));
    const values = leaves(config);
    const covers = (note: string, value: string) => value === note || value.startsWith(`${note}.`);
    const uncovered = values.filter((value) => Object.keys(notes).filter((note) => covers(note, value)).length !== 1);
    expect(uncovered).toEqual([]);
    expect(Object.keys(notes).filter((note) => !values.some((value) => covers(note, value)))).toEqual([]);
    // Paths of a valid configuration are the schema's; notes name no other.
    expect(runConfigSchema.safeParse(config).success).toBe(true);
  });
});

function leaves(value: unknown, path: string[] = []): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path.join('.')];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]));
}
