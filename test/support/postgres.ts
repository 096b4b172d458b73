import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { choosePort } from '../../src/cli/ports.ts';

export interface Postgres {
  /** As temporal-sql-tool takes them. */
  env: { SQL_HOST: string; SQL_PORT: string; SQL_USER: string; SQL_PASSWORD: string };
  /** Rows of a query, columns parted by "|". */
  query(database: string, text: string): string;
  close(): Promise<void>;
}

/** Folder of PostgreSQL's programs: on PATH, or where Debian puts them; null where there is none. */
export function findPostgres(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((name) => join(debian, name, 'bin'))];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'psql'))) ?? null;
}

/** A server of its own in a temporary folder, on a free port of loopback, with a password. Not for anything to keep. */
export async function startPostgres(bin: string): Promise<Postgres> {
  // It refuses to be run by root.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const folder = mkdtempSync(join(tmpdir(), 'astroflow-postgres-'));
  const [data, passwordFile] = [join(folder, 'data'), join(folder, 'password')];
  const env = {
    SQL_HOST: '127.0.0.1',
    SQL_PORT: String(await choosePort()),
    SQL_USER: 'temporal',
    SQL_PASSWORD: 'of this test',
  };
  writeFileSync(passwordFile, env.SQL_PASSWORD);
  if (user.uid) for (const path of [folder, passwordFile]) chownSync(path, user.uid, user.gid);
  const made = spawnSync(
    join(bin, 'initdb'),
    [
      '-D',
      data,
      '-U',
      env.SQL_USER,
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--no-sync',
      '--encoding=UTF8',
    ],
    { ...user, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  const server = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-h', env.SQL_HOST, '-p', env.SQL_PORT, '-k', folder, '-c', 'fsync=off'],
    { ...user, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await untilReady(server);
  return {
    env,
    query(database, text) {
      const args = ['-h', env.SQL_HOST, '-p', env.SQL_PORT, '-U', env.SQL_USER, '-d', database, '-qtA', '-c', text];
      const { status, stdout, stderr } = spawnSync(join(bin, 'psql'), args, {
        env: { ...process.env, PGPASSWORD: env.SQL_PASSWORD },
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
      return stdout.trim();
    },
    async close() {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function untilReady(server: ChildProcess): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    server.stderr?.on('data', (chunk) => {
      said += chunk;
      if (said.includes('ready to accept connections')) resolve();
    });
    server.once('exit', () => reject(new Error(`PostgreSQL ended: ${said}`)));
  });
}
