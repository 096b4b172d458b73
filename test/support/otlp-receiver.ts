import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  failed: boolean;
  attributes: Record<string, unknown>;
  resource: Record<string, unknown>;
}

interface WireAttribute {
  key: string;
  value: Record<string, unknown>;
}

const plain = (attributes: WireAttribute[] = []) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [kind, content] = Object.entries(value)[0] ?? [];
      return [key, kind === 'intValue' ? Number(content) : content];
    }),
  );

/** A collector that takes OTLP over HTTP as JSON, and keeps the spans. */
export async function startOtlpReceiver() {
  const spans: ReceivedSpan[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    if (request.url !== '/v1/traces') return void response.writeHead(404).end();
    const { resourceSpans = [] } = JSON.parse(text);
    for (const { resource, scopeSpans } of resourceSpans)
      for (const { spans: received } of scopeSpans)
        for (const { traceId, spanId, parentSpanId = '', name, status, attributes } of received)
          spans.push({
            ...{ traceId, spanId, parentSpanId, name },
            failed: status?.code === 2,
            attributes: plain(attributes),
            resource: plain(resource?.attributes),
          });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}
