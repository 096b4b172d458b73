import { z } from 'zod';

/** A literal, or the name of an environment variable that the worker reads at the moment of the call. */
export const envOr = z.union([
  z.string().min(1),
  z.strictObject({
    env: z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'use the name of an environment variable: A-Z, 0-9 and "_"'),
  }),
]);
