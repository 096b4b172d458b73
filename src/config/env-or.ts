import { z } from 'zod';

const variable = z.strictObject({
  env: z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'use the name of an environment variable: A-Z, 0-9 and "_"'),
});

/** A literal, or the name of an environment variable that the worker reads at the moment of the call. */
export const envOr = z.union([z.string().min(1), variable]);

/** An address, the same way. A password in it would be kept like any other part of a configuration. */
export const address = z.union([
  z
    .string()
    .min(1)
    .refine(
      (text) => !/\/\/[^/\s]*@/.test(text),
      'an address with a password: write {"env": "NAME"} and set the variable',
    ),
  variable,
]);

/** A key or token: only by the name of a variable, for a configuration is kept in the run's history and its artifacts. */
export const secret = z.strictObject(variable.shape, {
  error: ({ code }) =>
    code === 'invalid_type'
      ? 'a secret is never written here, where the history keeps it: write {"env": "NAME"} and set that variable'
      : undefined,
});
