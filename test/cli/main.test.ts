import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';

let errors = '';
beforeEach(() => {
  errors = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    errors += String(text);
    return true;
  });
  vi.spyOn(console, 'error').mockImplementation((text) => {
    errors += String(text);
  });
  vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
});
afterEach(() => vi.restoreAllMocks());

const astroflow = (...args: string[]) => main(['node', 'astroflow', ...args]);

describe('the command line', () => {
  it('explains itself', async () => {
    expect(await astroflow('--help')).toBe(0);
    expect(await astroflow('--version')).toBe(0);
  });

  it.each([
    [['strat'], "unknown command 'strat'"],
    [['start'], "missing required argument 'config'"],
    [['demo', '--frehs'], "unknown option '--frehs'"],
    [['start', 'a.json', '--seed', 'one'], 'write a whole number, 0 or more'],
    [['compare', 'a', 'b', '--resamples', '5'], 'write 100 or more'],
    [['diff', 'a'], "missing required argument 'to'"],
    [['explain', 'a'], "missing required argument 'item'"],
    [['up', '--port', '70000'], 'a port is a whole number from 1 to 65535'],
  ])('refuses %j and says why', async (args, message) => {
    expect(await astroflow(...args)).toBe(2);
    expect(errors).toContain(message);
  });

  it('reports a missing configuration without a stack', async () => {
    expect(await astroflow('start', 'no/such.json')).toBe(1);
    expect(errors).toBe('There is no file no/such.json.');
  });

  it('reports artifacts that are nowhere without a stack', async () => {
    vi.stubEnv('ASTROFLOW_ARTIFACTS', 'ftp://host/folder');
    expect(await astroflow('report', 'demo')).toBe(1);
    expect(errors).toMatch(/^ASTROFLOW_ARTIFACTS is "ftp:\/\/host\/folder": it must be a folder/);
    vi.unstubAllEnvs();
  });
});
