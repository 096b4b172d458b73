/** A program and its arguments as one line of a POSIX shell; nothing in them is expanded. */
export function shellCommand(command: readonly string[]): string {
  return command.map(quote).join(' ');
}

export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
