import { gunzipSync } from 'node:zlib';

/** Every form in which a secret could stand somewhere and still be read by whoever looks for it. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  // Base64 of the middle of a longer text: it depends on where the secret begins, and its ends on its neighbours.
  const base64 = [0, 1, 2].map((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    return whole.slice(offset === 0 ? 0 : 4, -4);
  });
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

/** Names of the secrets that a text or file holds, in any form, packed or not, in base64 within it or not. */
export function secretsIn(content: string | Buffer, secrets: Readonly<Record<string, string>>): string[] {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(content);
  const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
  const text = plain.toString('latin1');
  const inside = (text.match(/[A-Za-z0-9+/]{24,}={0,2}/g) ?? []).map((run) =>
    Buffer.from(run, 'base64').toString('latin1'),
  );
  const all = [text, ...inside].join('\n');
  return Object.keys(secrets).filter((name) =>
    formsOf(secrets[name] as string).some((form) => all.includes(Buffer.from(form).toString('latin1'))),
  );
}
