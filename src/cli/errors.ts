/** Something a person can put right; printed without a stack. */
export class CliError extends Error {
  override name = 'CliError';
}
