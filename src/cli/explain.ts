import { findEvalItem } from '../inspect/eval-item.ts';
import { explain } from '../inspect/explain.ts';
import { explanationText } from '../inspect/explanation-text.ts';
import { journaledServices } from './books.ts';
import type { Home } from './home.ts';
import { inspected, openRuns } from './inspected.ts';

export interface ExplainOptions {
  limit: number;
  json?: boolean;
}

/** Longest that a service's journal may take to answer; without it costs are left out. */
const journalMs = 20_000;
const textLength = { text: 1_500, json: 20_000 };

/** `astroflow explain RUN EVAL_ITEM` */
export async function explainCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  name: string,
  item: string,
  options: ExplainOptions,
): Promise<number> {
  return inspected(async () => {
    const [run] = (await openRuns(home, [name])) as [Awaited<ReturnType<typeof openRuns>>[number]];
    const signal = AbortSignal.timeout(journalMs);
    const found = await explain(run, await findEvalItem(run, item), {
      limit: options.limit,
      textLength: options.json ? textLength.json : textLength.text,
      // A service that is not there now, or whose tokenizer is not, only costs the reader the costs.
      served: async (prefix) => {
        try {
          return await journaledServices(run.plan, { home, env }).sampler.journal(prefix, signal);
        } catch {
          return null;
        }
      },
    });
    return options.json ? found : explanationText(found);
  });
}
