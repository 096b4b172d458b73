import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasBearer, isLoopback, isSameSecret, readToken, refusedHost } from '../../src/services/access.ts';

const token = 'a-token-of-a-server';

describe('who may ask a server of ours', () => {
  it('is only this machine at a loopback address', () => {
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', '[::1]', 'localhost', 'LOCALHOST'])
      expect([host, isLoopback(host)]).toEqual([host, true]);
    for (const host of [
      '0.0.0.0',
      '::',
      '10.0.0.1',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      'example.org',
      '',
    ])
      expect([host, isLoopback(host)]).toEqual([host, false]);
  });

  it('is who has the token, elsewhere', () => {
    expect(refusedHost('The page', '0.0.0.0', undefined, 'X')).toContain('set X (or X_FILE)');
    expect(refusedHost('The page', '0.0.0.0', token, 'X')).toBeNull();
    expect(refusedHost('The page', '127.0.0.1', undefined, 'X')).toBeNull();
    expect([isSameSecret(token, token), isSameSecret(token, `${token}x`), isSameSecret('', token)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([hasBearer(`bearer ${token}`, token), hasBearer(token, token), hasBearer(undefined, token)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('is told by a variable or a file, and a token that cannot be used is not shown', () => {
    const folder = mkdtempSync(join(tmpdir(), 'astroflow-token-'));
    const file = join(folder, 'token');
    writeFileSync(file, `${token}\n`);
    expect(readToken({}, 'X')).toEqual({});
    expect(readToken({ X: token }, 'X')).toEqual({ token });
    expect(readToken({ X_FILE: file }, 'X')).toEqual({ token });
    writeFileSync(file, '\n');
    expect(readToken({ X_FILE: file }, 'X').problem).toContain('which is empty');
    expect(readToken({ X_FILE: '/nowhere' }, 'X').problem).toContain('cannot be read (ENOENT)');
    expect(readToken({ X: token, X_FILE: file }, 'X').problem).toContain('leave one out');
    for (const bad of ['short', 'words with spaces in them', 'ünïcödé-characters'])
      expect(readToken({ X: bad }, 'X').problem).toMatch(/^X must be at least 16 characters(?!.*words)/);
    rmSync(folder, { recursive: true });
  });
});
