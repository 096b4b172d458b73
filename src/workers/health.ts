import { createServer } from 'node:http';
import { listen } from '../services/listen.ts';

export interface HealthServer {
  /** Of `/healthz`. */
  url: string;
  close(): Promise<void>;
}

/**
 * Serves `GET /healthz` at `host:port` (port 0: any): 200 `ok` while `problem` finds nothing, else 503 with what it
 * found. It is asked anew for every request, so the answer is never older than the question.
 *
 * Rejects with the reason when the address is not one, or cannot be listened at.
 */
export async function serveHealth(address: string, problem: () => Promise<string | null>): Promise<HealthServer> {
  const { host, port } = parseAddress(address);
  const server = createServer(async ({ method, url }, response) => {
    const said = (status: number, text: string) => {
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
      response.end(`${text}\n`);
    };
    if (url !== '/healthz') return said(404, 'there is only /healthz');
    if (method !== 'GET' && method !== 'HEAD') return said(405, 'GET or HEAD');
    const found = await problem().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    said(found === null ? 200 : 503, found ?? 'ok');
  });
  const { url, close } = await listen(server, { host, port }).catch((error: Error) => {
    throw new Error(`/healthz cannot be served at ${address}: ${error.message}`);
  });
  return { url: `${url}/healthz`, close };
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new Error(`${JSON.stringify(address)} is no host:port, such as 127.0.0.1:9465 or [::1]:9465`);
  return { host: match[1] ?? match[2] ?? '', port };
}
