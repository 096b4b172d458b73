import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type HealthServer, serveHealth } from '../../src/workers/health.ts';

const open: HealthServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function serve(problem: () => Promise<string | null>, address = '127.0.0.1:0') {
  const server = await serveHealth(address, problem);
  open.push(server);
  return server.url;
}

describe('/healthz of a worker', () => {
  it('is 200 while nothing is wrong, and 503 with the reason while something is', async () => {
    let found: string | null = null;
    const url = await serve(async () => found);
    const ask = async () => {
      const response = await fetch(url);
      return [response.status, await response.text()];
    };
    expect(await ask()).toEqual([200, 'ok\n']);
    found = 'queue astro is not polled';
    expect(await ask()).toEqual([503, 'queue astro is not polled\n']);
    found = null;
    expect(await ask()).toEqual([200, 'ok\n']);
  });

  it('is 503 when looking fails', async () => {
    const url = await serve(async () => {
      throw new Error('14 UNAVAILABLE');
    });
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([503, '14 UNAVAILABLE\n']);
  });

  it('answers HEAD, and nothing else', async () => {
    const url = await serve(async () => null);
    const status = async (target: string, method: string) => (await fetch(target, { method })).status;
    expect(await status(url, 'HEAD')).toBe(200);
    expect(await status(url, 'POST')).toBe(405);
    expect(await status(url.replace('/healthz', '/'), 'GET')).toBe(404);
  });

  it.each(['9465', '127.0.0.1', '127.0.0.1:', 'http://127.0.0.1:9465', '127.0.0.1:70000', '::1:9465', ''])(
    'refuses the address %j, and says what one looks like',
    async (address) => {
      await expect(serve(async () => null, address)).rejects.toThrow('is no host:port, such as 127.0.0.1:9465');
    },
  );

  it('says which address is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    await expect(serve(async () => null, address)).rejects.toThrow(
      new RegExp(`/healthz cannot be served at ${address}: .*EADDRINUSE`),
    );
    other.close();
  });
});
