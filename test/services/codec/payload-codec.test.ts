import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CodecKey, newCodecKey, parseCodecKeys, readCodecKeys } from '../../../src/services/codec/keys.ts';
import {
  createPayloadCodec,
  encryptedEncoding,
  isEncrypted,
  keyIdField,
} from '../../../src/services/codec/payload-codec.ts';

const keyOf = (id: string): CodecKey => ({ id, key: randomBytes(32) });
const [a, b] = [keyOf('a'), keyOf('b')];
const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value as object) as Payload;
const plainOf = (payload: Payload | undefined): unknown => defaultPayloadConverter.fromPayload(payload as Payload);
const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('utf8');

async function encrypted(value: unknown, keys = [a]): Promise<Payload> {
  const [payload] = await createPayloadCodec(keys).encode([payloadOf(value)]);
  return payload as Payload;
}

describe('the payload codec', () => {
  it('gives back what it was given, whatever it is, and in the same order', async () => {
    const codec = createPayloadCodec([a]);
    const payload = fc.record({
      metadata: fc.dictionary(fc.string(), fc.uint8Array()),
      data: fc.uint8Array({ maxLength: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 4 }), async (payloads) => {
        const back = await codec.decode(await codec.encode(payloads));
        expect(back.map((one) => Buffer.from(one.data ?? []))).toEqual(payloads.map((one) => Buffer.from(one.data)));
        const fields = (one: Payload) => Object.entries(one.metadata ?? {}).map(([name, bytes]) => [name, [...bytes]]);
        expect(back.map(fields).map((all) => all.sort())).toEqual(payloads.map(fields).map((all) => all.sort()));
      }),
      { numRuns: 50 },
    );
  });

  it('shows nothing but the encoding and the id of the key', async () => {
    const payload = await encrypted({ secret: 'plain words' });
    expect(Object.keys(payload.metadata ?? {}).sort()).toEqual(['encoding', keyIdField]);
    expect(text(payload.metadata?.encoding)).toBe(encryptedEncoding);
    expect(text(payload.metadata?.[keyIdField])).toBe('a');
    expect(text(payload.data)).not.toContain('plain');
    expect(text(payload.data)).not.toContain('json');
  });

  it('encrypts equal payloads differently', async () => {
    expect((await encrypted(1)).data).not.toEqual((await encrypted(1)).data);
  });

  it('encrypts with the first key and decrypts with all, so that keys can be changed', async () => {
    const before = await encrypted('old', [a]);
    const rotated = createPayloadCodec([b, a]);
    const [after] = await rotated.encode([payloadOf('new')]);
    expect(text(after?.metadata?.[keyIdField])).toBe('b');
    expect((await rotated.decode([before, after as Payload])).map(plainOf)).toEqual(['old', 'new']);
  });

  it('leaves alone what it did not encrypt: plain JSON that a person started with, and other codecs', async () => {
    const foreign: Payload = { metadata: { encoding: Buffer.from('binary/encrypted') }, data: Buffer.from('x') };
    expect(await createPayloadCodec([a]).decode([payloadOf({ run: 'x' }), foreign])).toEqual([
      payloadOf({ run: 'x' }),
      foreign,
    ]);
  });

  it('names the id of a key that it does not have, and those that it has', async () => {
    const payload = await encrypted('x', [a]);
    await expect(createPayloadCodec([b]).decode([payload])).rejects.toThrow(
      'a payload is encrypted with key "a", which ASTROFLOW_CODEC_KEYS does not have (it has b): add it behind the first',
    );
  });

  it('without keys encrypts nothing, and says what to set where something is encrypted', async () => {
    const none = createPayloadCodec([]);
    expect(await none.encode([payloadOf(1)])).toEqual([payloadOf(1)]);
    await expect(none.decode([await encrypted('x')])).rejects.toThrow(
      'a payload is encrypted with key "a": set ASTROFLOW_CODEC_KEYS (or ASTROFLOW_CODEC_KEYS_FILE) to a list that has it',
    );
  });

  it('does not open what was changed: any bit of the data', async () => {
    const codec = createPayloadCodec([a]);
    const payload = await encrypted('some text');
    const length = payload.data?.length ?? 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(length * 8 - 1), async (bit) => {
        const data = Buffer.from(payload.data ?? []);
        data[bit >> 3]! ^= 1 << (bit & 7);
        await expect(codec.decode([{ ...payload, data }])).rejects.toThrow('does not open with key a');
      }),
      { numRuns: 100 },
    );
  });

  it('does not open under the id of another key, even one that is the same key', async () => {
    const twin = { id: 'twin', key: a.key };
    const payload = await encrypted('x');
    const moved = { ...payload, metadata: { ...payload.metadata, [keyIdField]: Buffer.from('twin') } };
    await expect(createPayloadCodec([a, twin]).decode([moved])).rejects.toThrow('does not open with key twin');
  });

  it('refuses a payload that is cut short', async () => {
    const payload = await encrypted('x');
    const cut = { ...payload, data: payload.data?.subarray(0, 27) ?? null };
    await expect(createPayloadCodec([a]).decode([cut])).rejects.toThrow('encrypted with key a is cut short');
  });

  it('knows an encrypted payload from a plain one', async () => {
    expect([isEncrypted(await encrypted(1)), isEncrypted(payloadOf(1)), isEncrypted({})]).toEqual([true, false, false]);
  });
});

describe('the list of codec keys', () => {
  it('is read from commas and lines, and comments are left out', () => {
    const [one, two] = [newCodecKey('2026-11'), newCodecKey('2026-05')];
    for (const list of [`${one},${two}`, `${one}\n${two}\n`, `# newest first\r\n ${one}\r\n${two}`])
      expect(parseCodecKeys(list, 'list')).toMatchObject({
        keys: [{ id: '2026-11' }, { id: '2026-05' }],
        problems: [],
      });
  });

  it('may be left out', () => {
    expect(readCodecKeys({})).toEqual({ keys: [], problems: [] });
    expect(readCodecKeys({ ASTROFLOW_CODEC_KEYS: '' })).toEqual({ keys: [], problems: [] });
  });

  it('tells everything that is wrong at once, and shows no key', () => {
    const bare = randomBytes(32).toString('base64');
    const short = randomBytes(16).toString('base64');
    const { problems } = readCodecKeys({
      ASTROFLOW_CODEC_KEYS: [bare, `a:${short}`, newCodecKey('b'), newCodecKey('b'), `${bare}:id`].join(','),
    });
    expect(problems).toEqual([
      'ASTROFLOW_CODEC_KEYS, key 1: write id:key, with the key as base64',
      'ASTROFLOW_CODEC_KEYS, key 2 (a): the key is not 32 bytes in base64 (44 characters, the last one "=")',
      'ASTROFLOW_CODEC_KEYS, key 4: the id b is there already',
      'ASTROFLOW_CODEC_KEYS, key 5: an id is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", and begins with a letter or digit',
    ]);
  });

  it('is not guessed at: a file that cannot be read, one without keys, and both variables are errors', () => {
    expect(readCodecKeys({ ASTROFLOW_CODEC_KEYS_FILE: '/nowhere/keys' }).problems).toEqual([
      'ASTROFLOW_CODEC_KEYS_FILE names /nowhere/keys, which cannot be read (ENOENT)',
    ]);
    expect(parseCodecKeys('# none yet\n', 'keys.txt').problems).toEqual([
      'keys.txt holds no key: make one with `astroflow codec-key`',
    ]);
    expect(readCodecKeys({ ASTROFLOW_CODEC_KEYS: 'x', ASTROFLOW_CODEC_KEYS_FILE: 'y' }).problems).toHaveLength(1);
  });
});
