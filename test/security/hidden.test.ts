import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { secretsIn } from './hidden.ts';

const secret = 'sk-+/planted"secret"&1234567890';
const secrets = { key: secret };

it.each<[string, string | Buffer]>([
  ['as it is', `Bearer ${secret}`],
  ['in JSON', JSON.stringify({ secret })],
  ['in a URL', `?key=${encodeURIComponent(secret)}`],
  ['in hex', Buffer.from(secret).toString('hex')],
  ['in base64, from any place', Buffer.from(`a${secret}b`).toString('base64')],
  ['in base64, from another place', Buffer.from(`ab${secret}`).toString('base64url')],
  ['in JSON in base64', JSON.stringify({ data: Buffer.from(JSON.stringify({ secret })).toString('base64') })],
  ['packed', gzipSync(JSON.stringify({ secret }))],
])('a secret is found %s', (_, content) => {
  expect(secretsIn(content, secrets)).toEqual(['key']);
});

it('what holds no secret is not taken for one', () => {
  expect(secretsIn('sk-planted, and Bearer of good news', secrets)).toEqual([]);
});
