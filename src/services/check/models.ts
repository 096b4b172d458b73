import type { connectOpenAi, OpenAiService } from '../openai/client.ts';
import { toServiceError } from '../openai/errors.ts';
import { type Findings, stops, unknown, yes } from './finding.ts';

interface Server {
  connection: () => ReturnType<typeof connectOpenAi>;
  of: OpenAiService;
  model: string;
}

/** A model of `/v1/models`, with the longest text it takes where a server says so (vLLM). */
interface Listed {
  id: string;
  max_model_len?: number | null;
}

/**
 * Whether something answers, and whether it lists the model.
 *
 * @returns the longest text, in tokens, that the model takes (null: unsaid), or false where there is no use in asking on
 */
export async function checkModels(
  findings: Findings,
  { connection, of, model }: Server,
): Promise<{ maxTokens: number | null } | false> {
  let listed: Listed[] | null = null;
  const reached = await findings.probe('reachable', async (signal) => {
    const { client, root } = connection();
    try {
      listed = [];
      for await (const one of client.models.list({ signal: AbortSignal.any([signal]) })) listed.push(one as Listed);
      return yes(root);
    } catch (caught) {
      listed = null;
      const error = toServiceError(caught, root, of, signal);
      const status = (error as { status?: number }).status;
      if (status === 401 || status === 403) {
        return stops(`${root} refuses the key`, `set ${of.path}.apiKey, or the environment variable that it names`);
      }
      // Anything that answers is there; not every server has a list, and some fail to make one.
      if (status !== undefined) return yes(`${root}, without a list of models (${status})`);
      throw error;
    }
  });
  if (reached.state !== 'yes') return false;
  const known = listed as Listed[] | null;
  if (known === null) {
    findings.add('model', unknown(`${model}: the server lists none`));
    return { maxTokens: null };
  }
  const found = known.find(({ id }) => id === model);
  if (found === undefined) {
    const names = known.map(({ id }) => id).slice(0, 5);
    const instead = `${model} is not among ${names.join(', ') || 'the models: there are none'}`;
    findings.add(
      'model',
      stops(instead, 'name a model that is served, or serve it under this name (vLLM: --served-model-name)'),
    );
    return false;
  }
  findings.add('model', yes(model));
  return { maxTokens: found.max_model_len ?? null };
}
