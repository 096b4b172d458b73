import { readToken, refusedHost } from '../services/access.ts';
import { startCodecServer } from '../services/codec/codec-server.ts';
import { isKeyId, newCodecKey, readCodecKeys } from '../services/codec/keys.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { aborted, onInterrupt } from './interrupt.ts';
import { readServerFile } from './server-file.ts';

const tokenVariable = 'ASTROFLOW_CODEC_TOKEN';
const usualPort = 8081;
/** Where the dev server's UI is, by both names of this machine. */
const usualOrigins = ['http://127.0.0.1:8233', 'http://localhost:8233'];

/** `astroflow codec-server`: decrypts for the Temporal UI and the `temporal` CLI, until Ctrl-C. */
export async function codecServerCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  { host = '127.0.0.1', port = usualPort, origin }: { host?: string; port?: number; origin: string[] },
): Promise<number> {
  const { keys, problems } = readCodecKeys(env);
  if (problems.length === 0 && keys.length === 0)
    problems.push(
      'ASTROFLOW_CODEC_KEYS is not set: there is nothing to decrypt with (`astroflow codec-key` makes a key)',
    );
  const { token, problem } = readToken(env, tokenVariable);
  if (problem !== undefined) problems.push(problem);
  const refused = problem === undefined ? refusedHost('The codec server', host, token, tokenVariable) : null;
  if (refused !== null) problems.push(refused);
  const ui = readServerFile(home.server)?.uiUrl;
  const origins = origin.length > 0 ? origin : [...usualOrigins, ...(ui === undefined ? [] : [ui])];
  for (const each of origins)
    if (!isOrigin(each))
      problems.push(`--origin ${each}: write it as a browser does, like https://temporal.example.org`);
  if (problems.length > 0) throw new CliError(problems.join('\n'));

  const interrupt = onInterrupt(() => {});
  const server = await startCodecServer({ keys, host, port, origins, ...(token !== undefined && { token }) }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      throw new CliError(`Port ${port} is taken: choose another with --port.`);
    },
  );
  try {
    console.log(`Codec server  ${server.url}, for pages of ${origins.join(', ')}`);
    console.log(`temporal workflow show --workflow-id ID --codec-endpoint ${server.url}`);
    await aborted(interrupt.signal);
    return 0;
  } finally {
    await server.close();
    interrupt.dispose();
  }
}

/** `astroflow codec-key`: a new entry for `ASTROFLOW_CODEC_KEYS`. */
export function codecKeyCommand(id = new Date().toISOString().slice(0, 10)): number {
  if (!isKeyId(id))
    throw new CliError('An id is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", and begins with a letter or digit.');
  console.log(newCodecKey(id));
  return 0;
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
