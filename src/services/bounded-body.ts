/**
 * What one answer of a server may have. The largest are those of samplers: thousands of samples with the log-probability
 * and the text of every token, some 60 bytes each.
 */
export const maxAnswerBytes = 256 * 1024 * 1024;

/** Of a refusal nobody needs more. */
export const maxRefusalBytes = 64 * 1024;

/** A server went on beyond what an answer may have. Asking again would not make it shorter. */
export class AnswerTooLarge extends Error {
  override name = 'AnswerTooLarge';

  constructor(maxBytes: number) {
    super(`the answer is larger than ${maxBytes} bytes`);
  }
}

/** The same answer, whose body breaks off with AnswerTooLarge. Counted unpacked, so that a small file cannot swell. */
export function boundedAnswer(response: Response, maxBytes = maxAnswerBytes): Response {
  if (response.body === null) return response;
  let size = 0;
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, out) {
      size += chunk.byteLength;
      if (size > maxBytes) out.error(new AnswerTooLarge(maxBytes));
      else out.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(counting), { status, statusText, headers });
}

/** The beginning of a body, and no more of it. */
export async function beginningOf(response: Response, maxBytes = maxRefusalBytes): Promise<string> {
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  for (let size = 0; reader !== undefined && size < maxBytes; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.byteLength;
  }
  await reader?.cancel().catch(() => {});
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}
