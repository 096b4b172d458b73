import { createServer } from 'node:net';

/** The preferred port if nobody listens there, else any free one. */
export async function choosePort(preferred = 0): Promise<number> {
  return (preferred === 0 ? null : await bind(preferred)) ?? (await anyPort());
}

async function anyPort(): Promise<number> {
  const port = await bind(0);
  if (port === null) throw new Error('No free port on 127.0.0.1');
  return port;
}

/** The port that could be bound (and is free again now), or null. */
function bind(port: number): Promise<number | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => done(address !== null && typeof address === 'object' ? address.port : null));
    });
  });
}
