import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { bundledRevision } from '../../src/config/services-schema.ts';

it('the default revision names the bundled weights, so that new weights mean new content keys', () => {
  const weights = readFileSync(new URL('../../engine/base/model/model.safetensors', import.meta.url));
  expect(`sha256:${createHash('sha256').update(weights).digest('hex').slice(0, 12)}`).toBe(bundledRevision);
});
