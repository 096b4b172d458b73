import type { Server } from 'node:http';

export interface Listening {
  url: string;
  port: number;
  /** Ends what is under way, too. */
  close(): Promise<void>;
}

/** Has a server of ours listen; port 0: any. Rejects where it cannot, as when the port is taken. */
export function listen(server: Server, { host, port }: { host: string; port: number }): Promise<Listening> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      resolve({
        url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
        port: bound,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
