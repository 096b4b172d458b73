import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import type { PublishConfig } from '../../config/publish-schema.ts';
import { type EnvOr, resolveValue } from '../address.ts';
import { ServiceError } from '../errors.ts';
import { connectOpenAi } from '../openai/client.ts';
import type { Endpoint } from '../pool/endpoints.ts';
import { callRoute, type Server } from '../pool/server.ts';
import { updateRoute, weightVersion } from '../publisher/sglang-disk.ts';
import { loadRoute } from '../publisher/vllm-lora.ts';
import { type CheckRow, createFindings, type Findings, stops, unknown, yes } from './finding.ts';
import type { SamplerCheck } from './openai-sampler.ts';

const of = { name: 'the sampler (policy.sampler)', path: 'policy.sampler' };

/** What publishing needs, looked at without changing anything: folders, routes, the program. */
export async function checkPublish(check: SamplerCheck, endpoints: readonly Endpoint[]): Promise<CheckRow[]> {
  const { config, env, deadlineMs } = check;
  const { sampler, trainer } = config.policy;
  const publish = sampler.kind === 'openai' ? sampler.publish : undefined;
  if (publish === undefined || publish.via === 'shared' || trainer === null) return [];
  const findings = createFindings('publish', deadlineMs);
  findings.add('via', yes(publish.via));
  if (publish.folder !== undefined) await checkFolder(findings, publish.folder, env);
  if (publish.via === 'command') await checkProgram(findings, publish.command[0] ?? '', env);
  else
    for (const { name, config: own, path } of endpoints) {
      const { client, root } = connectOpenAi(own, env, { ...of, path });
      await checkRoutes(findings, publish, { name, root, client, of }, deadlineMs);
    }
  return findings.rows;
}

function checkFolder(findings: Findings, folder: EnvOr, env: NodeJS.ProcessEnv) {
  const path = 'policy.sampler.publish.folder';
  return findings.probe('folder', async () => {
    const at = resolveValue(folder, env, path);
    if (!isAbsolute(at)) return stops(at, `${path} must be absolute: servers load from it`);
    try {
      await mkdir(at, { recursive: true });
      await access(at, constants.W_OK);
      return yes(`${at}, which the servers must see under this path`);
    } catch (error) {
      return stops(at, `${path} cannot be written: ${(error as Error).message}`);
    }
  });
}

function checkProgram(findings: Findings, program: string, env: NodeJS.ProcessEnv) {
  return findings.probe('command', async () => {
    const places = program.includes('/')
      ? [program]
      : (env.PATH ?? '').split(delimiter).map((folder) => join(folder, program));
    for (const place of places) {
      if (await access(place, constants.X_OK).then(...isThere)) return yes(place);
    }
    return stops(`${program} is no program`, 'policy.sampler.publish.command names a program of this machine');
  });
}

const isThere = [() => true, () => false] as const;

async function checkRoutes(
  findings: Findings,
  { via }: Exclude<PublishConfig, { via: 'shared' | 'command' }>,
  server: Server,
  deadlineMs: number,
): Promise<void> {
  const { path, start } = via === 'vllm-lora' ? loadRoute : updateRoute;
  await findings.probe(`route of ${server.name}`, async (signal) => {
    try {
      if (via === 'sglang-disk') {
        const version = await weightVersion(server, deadlineMs, signal);
        return yes(`${path}; its weights are called "${version}"`);
      }
      // Nothing is loaded by a GET: a route that there is refuses the method.
      await callRoute(server, { method: 'get', path }, deadlineMs, signal);
      return unknown(`${path} answers a GET: the server may answer every path`);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      // The sampler's own rows say what that means.
      if (error.kind === 'retryable') return unknown('no answer');
      if (error.status === undefined) throw error;
      if (error.status === 404) return stops(`there is no ${path}`, start);
      return error.status === 405 || error.status === 422 ? yes(path) : unknown(`${path} answers ${error.status}`);
    }
  });
}
