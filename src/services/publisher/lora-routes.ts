import { ServiceError } from '../errors.ts';
import { callRoute, type Server } from '../pool/server.ts';
import type { PublishedWeights } from './weights-folder.ts';

/** Refusals that loading again cannot help: the adapter does not fit the server as it was started, or is not there. */
const permanent =
  /lora.?rank|target.?module|not support|unexpected|no adapter|does not exist|no such file|cannot find|shape/i;

/**
 * Loads an adapter under its version's name. That the name is taken is no error: one name is one adapter.
 * @throws ServiceError
 */
export async function loadAdapter(
  server: Server,
  route: { path: string; start: string },
  { version, folder }: PublishedWeights,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    const body = { lora_name: version, lora_path: folder };
    const said = await callRoute(server, { method: 'post', path: route.path, body }, timeoutMs, signal);
    if (isFailure(said)) throw new ServiceError('fatal', String(said.error_message ?? ''), { service: server.of.name });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    if (!/already/i.test(error.message)) throw explained(error, server, route, folder);
  }
}

/** Forgets an adapter; what cannot be unloaded stays, and costs only memory. */
export async function unloadAdapter(
  server: Server,
  path: string,
  version: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const body = { lora_name: version };
  await callRoute(server, { method: 'post', path, body }, timeoutMs, signal).catch(() => {
    signal.throwIfAborted();
  });
}

function isFailure(said: unknown): said is { error_message?: unknown } {
  return typeof said === 'object' && said !== null && 'success' in said && said.success === false;
}

function explained(
  error: ServiceError,
  { of, root }: Server,
  route: { path: string; start: string },
  folder: string,
): ServiceError {
  const { status, cause } = error;
  const details = { service: of.name, cause, ...(status !== undefined && { status }) };
  // A route that is not there says nothing about adapters.
  if (
    (status === 404 || status === 405) &&
    /not found|not allowed|404|405/i.test(error.message) &&
    !permanent.test(error.message)
  )
    return new ServiceError('fatal', `${of.name} at ${root} has no ${route.path}: ${route.start}`, details);
  const message = `${error.message} (loading ${folder}, which the server must see under this path)`;
  const kind = error.kind === 'lost' || permanent.test(error.message) ? 'fatal' : error.kind;
  return new ServiceError(kind, message, details);
}
