// Writes configs/run-config.schema.json, which gives editors completion and checks. A test fails when it is stale.
//   npm run schema

import { writeFileSync } from 'node:fs';
import { register } from 'tsx/esm/api';

register();
const { runConfigJsonSchemaText } = await import('../src/config/json-schema.ts');
const path = new URL('../configs/run-config.schema.json', import.meta.url);
writeFileSync(path, runConfigJsonSchemaText());
