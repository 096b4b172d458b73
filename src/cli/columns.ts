/** Columns to write in: the terminal's, else what `COLUMNS` says, else enough for a log. */
export function columnsOf(out: Pick<NodeJS.WriteStream, 'columns'>, env: NodeJS.ProcessEnv = process.env): number {
  return out.columns || Number.parseInt(env.COLUMNS ?? '', 10) || 120;
}
