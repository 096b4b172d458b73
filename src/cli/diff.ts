import { diffRuns } from '../inspect/diff-runs.ts';
import { diffText } from '../inspect/diff-text.ts';
import type { Home } from './home.ts';
import { inspected, openRuns } from './inspected.ts';

/** `astroflow diff RUN_A RUN_B` */
export async function diffCommand(
  home: Home,
  names: readonly [from: string, to: string],
  { json }: { json?: boolean },
): Promise<number> {
  return inspected(async () => {
    const runs = await openRuns(home, names);
    const [from, to] = runs as [(typeof runs)[number], (typeof runs)[number]];
    const differ = await diffRuns(from, to);
    return json ? differ : diffText(differ);
  });
}
