import { readFileSync } from 'node:fs';

/** A setting of `.env.example`: set, or shown behind "#". */
export interface EnvLine {
  name: string;
  value: string;
  isSet: boolean;
  /** The sentence above it; settings that stand together share one. */
  comment: string;
}

/** Every setting of `.env.example`, top to bottom. A line that is neither a setting nor a comment is an error. */
export function readEnvExample(text = readFileSync('.env.example', 'utf8')): EnvLine[] {
  const settings: EnvLine[] = [];
  let comment = '';
  for (const [index, line] of text.split('\n').entries()) {
    const match = /^(# )?([A-Z][A-Z0-9_]+)=(.*)$/.exec(line);
    if (match) settings.push({ name: match[2] ?? '', value: match[3] ?? '', isSet: match[1] === undefined, comment });
    else if (line.startsWith('# ---')) comment = '';
    else if (line.startsWith('# ')) comment = line.slice(2);
    else if (line !== '') throw new Error(`.env.example:${index + 1}: neither a setting nor a comment: ${line}`);
  }
  return settings;
}
