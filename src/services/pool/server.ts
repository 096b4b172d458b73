import type OpenAI from 'openai';
import type { OpenAiService } from '../openai/client.ts';
import { within } from '../openai/within.ts';

/** One server that can be asked now. */
export interface Server {
  /** Stable; never the address. */
  name: string;
  /** The address, without `/v1`. */
  root: string;
  client: OpenAI;
  of: OpenAiService;
}

/** Names that a server lists. @throws ServiceError */
export function listModels({ client, root, of }: Server, timeoutMs: number, caller: AbortSignal): Promise<string[]> {
  return within({ root, of, timeoutMs, caller }, async (signal) => {
    const names: string[] = [];
    for await (const { id } of client.models.list({ signal })) names.push(id);
    return names;
  });
}

/** A route beside OpenAI's own. @throws ServiceError */
export function callRoute(
  { client, root, of }: Server,
  route: { method: 'get' | 'post'; path: string; body?: object },
  timeoutMs: number,
  caller: AbortSignal,
): Promise<unknown> {
  return within({ root, of, timeoutMs, caller }, (signal) => {
    const url = `${root}${route.path}`;
    return route.method === 'get' ? client.get(url, { signal }) : client.post(url, { body: route.body, signal });
  });
}
