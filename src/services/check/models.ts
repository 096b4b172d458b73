import type { connectOpenAi, OpenAiService } from '../openai/client.ts';
import { toServiceError } from '../openai/errors.ts';
import { type Findings, stops, unknown, yes } from './finding.ts';

interface Server {
  connection: () => ReturnType<typeof connectOpenAi>;
  of: OpenAiService;
  model: string;
}

/** Whether something answers, and whether it lists the model. False: there is no use in asking further. */
export async function checkModels(findings: Findings, { connection, of, model }: Server): Promise<boolean> {
  let listed: string[] | null = null;
  const reached = await findings.probe('reachable', async (signal) => {
    const { client, root } = connection();
    try {
      listed = [];
      for await (const { id } of client.models.list({ signal: AbortSignal.any([signal]) })) listed.push(id);
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
  const known = listed as string[] | null;
  if (known === null) findings.add('model', unknown(`${model}: the server lists none`));
  else if (known.includes(model)) findings.add('model', yes(model));
  else {
    const found = `${model} is not among ${known.slice(0, 5).join(', ') || 'the models: there are none'}`;
    findings.add(
      'model',
      stops(found, 'name a model that is served, or serve it under this name (vLLM: --served-model-name)'),
    );
    return false;
  }
  return true;
}
