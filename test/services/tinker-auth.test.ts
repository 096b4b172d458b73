import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectTinker, type TinkerOptions, tinkerClient } from '../../src/services/tinker/index.ts';
import { fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

let server: TinkerDouble;
let today: number;
const { signal } = new AbortController();

beforeEach(async () => {
  server = await tinkerDouble();
  today = 1_000_000_000;
  server.answer('/healthz', { json: { status: 'ok' } });
});
afterEach(() => server.close());

const options = (change: Partial<TinkerOptions> = {}): TinkerOptions => ({
  baseUrl: server.baseUrl,
  apiKey: 'tml-key',
  timeoutMs: 60_000,
  ...fakeTime(),
  today: () => today,
  ...change,
});
const exchanged = () => tinkerClient(options({ tokenAuth: true }));
/** A token that ends so many seconds from now. */
const token = (seconds: number, name = '') => {
  const claims = { exp: today / 1000 + seconds, name };
  return `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`;
};
const shown = (path: string) =>
  server.requests.filter((request) => request.path === path).map(({ headers }) => headers['x-api-key']);

describe('a key', () => {
  it.each(['tml-key', 'eyJhbGciOiJub25lIn0.e30.'])('goes into the header as it is: %s', async (apiKey) => {
    await tinkerClient(options({ apiKey })).health(signal);
    expect(shown('/healthz')).toEqual([apiKey]);
  });

  it('is exchanged for a token where the server asks for that', async () => {
    server.answer('/client/config', { json: { pjwt_auth_enabled: true } });
    server.answer('/auth/token', { json: { jwt: token(3600) } });
    const client = await connectTinker(options(), signal);
    await Promise.all([client.health(signal), client.health(signal)]);
    expect(shown('/auth/token')).toEqual(['tml-key']);
    expect(shown('/healthz')).toEqual([token(3600), token(3600)]);
  });

  it('that is refused ends the call', async () => {
    server.answer('/healthz', { status: 401, json: { detail: 'bad key' } });
    await expect(tinkerClient(options()).health(signal)).rejects.toMatchObject({ kind: 'fatal', status: 401 });
    server.answer('/auth/token', { status: 403, json: { detail: 'bad key' } });
    await expect(exchanged().health(signal)).rejects.toMatchObject({ kind: 'fatal', path: '/auth/token' });
    expect(shown('/healthz')).toHaveLength(1);
  });
});

describe('a token', () => {
  it('is renewed 300 s before it ends', async () => {
    const [first, second] = [token(3600, 'first'), token(7200, 'second')];
    server.answer('/auth/token', { json: { jwt: first } }, { json: { jwt: second } });
    const client = exchanged();
    await client.health(signal);
    today += 3_299_000;
    await client.health(signal);
    today += 1_000;
    await client.health(signal);
    expect(shown('/healthz')).toEqual([first, first, second]);
  });

  it('of a short life is renewed in the middle of it', async () => {
    const [first, second] = [token(100, 'first'), token(200, 'second')];
    server.answer('/auth/token', { json: { jwt: first } }, { json: { jwt: second } });
    const client = exchanged();
    await client.health(signal);
    today += 50_000;
    await client.health(signal);
    expect(shown('/healthz')).toEqual([first, second]);
  });

  it('that does not say when it ends lasts until it is refused', async () => {
    server.answer('/auth/token', { json: { jwt: 'opaque' } }, { json: { jwt: token(3600) } });
    const client = exchanged();
    await client.health(signal);
    today += 1e12;
    server.answer('/healthz', { status: 401 }, { json: { status: 'ok' } });
    await client.health(signal);
    expect(shown('/healthz')).toEqual(['opaque', 'opaque', expect.stringMatching(/^eyJ/)]);
  });

  it('that is refused twice is final', async () => {
    server.answer('/auth/token', { json: { jwt: token(3600) } });
    server.answer('/healthz', { status: 401, json: { detail: 'no' } });
    await expect(exchanged().health(signal)).rejects.toMatchObject({ kind: 'fatal', status: 401 });
    expect(shown('/healthz')).toHaveLength(2);
  });
});
