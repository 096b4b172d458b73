import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { AnswerTooLarge, maxAnswerBytes } from '../bounded-body.ts';

/**
 * An HTTP request with nothing in it that browsers add. Ray's dashboard refuses what looks like one's, and Node's own
 * `fetch` sends `Sec-Fetch-Mode`, which cannot be left out.
 */
export function plainRequest(
  method: string,
  url: string,
  {
    headers = {},
    body,
    signal,
    maxBytes = maxAnswerBytes,
  }: { headers?: Record<string, string>; body?: string; signal: AbortSignal; maxBytes?: number },
): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const send = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, { method, headers, signal }, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > maxBytes) response.destroy(new AnswerTooLarge(maxBytes));
        else parts.push(part);
      });
      response.once('end', () =>
        done({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
      );
      response.once('error', fail);
    });
    request.once('error', fail);
    request.end(body);
  });
}
