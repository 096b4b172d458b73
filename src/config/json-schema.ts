import { z } from 'zod';
import { runConfigSchema } from './schema.ts';

/**
 * The configuration's JSON Schema as editors read it (`"$schema": "./run-config.schema.json"`): what a person may
 * write, so every field with a default is optional. Conditions between fields are checked by `parseRunConfig` only.
 */
export function runConfigJsonSchema(): object {
  const schema = z.toJSONSchema(runConfigSchema, { io: 'input' });
  return { title: 'Astroflow run configuration', ...schema };
}

/** The text of `configs/run-config.schema.json`. */
export function runConfigJsonSchemaText(): string {
  return `${JSON.stringify(runConfigJsonSchema(), null, 2)}\n`;
}
