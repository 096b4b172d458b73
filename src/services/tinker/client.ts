import { downloadCheckpoint } from './archive.ts';
import { type Capabilities, unknownServer } from './capabilities.ts';
import { catalogCalls } from './catalog-calls.ts';
import { samplingCalls } from './sampling-calls.ts';
import { serviceCalls } from './service-calls.ts';
import { trainingCalls } from './training-calls.ts';
import { type TransportOptions, tinkerTransport } from './transport.ts';

export interface TinkerOptions extends TransportOptions {
  /** What is known of the server; the rest is assumed as of a server that nothing is known about. */
  capabilities?: Partial<Capabilities> | undefined;
  limits?: Partial<Limits> | undefined;
}

/** Most that one request over data carries. */
export interface Limits {
  maxDatums: number;
  maxBytes: number;
}

/** What the hosted service allows. */
export const defaultLimits: Limits = { maxDatums: 1024, maxBytes: 5_000_000 };

export type TinkerClient = ReturnType<typeof tinkerClient>;

/**
 * A client of the Tinker API: training and sampling over HTTP, in JSON or protobuf. It holds no state of any model:
 * training requests carry a dense `seq_id` from 1, and the caller counts (`trainingModel` does it for one model).
 * Errors are `TinkerError`s.
 */
export function tinkerClient(options: TinkerOptions) {
  const can: Capabilities = { ...unknownServer, ...options.capabilities };
  const transport = tinkerTransport(options);
  const catalog = catalogCalls(transport, can);
  return {
    /** What the server can, as far as it is known. */
    can,
    limits: { ...defaultLimits, ...options.limits } as Limits,
    /** For calls that are not here. */
    transport,
    ...serviceCalls(transport, options),
    ...trainingCalls(transport, can, (path, signal) => catalog.awaitCheckpoint(path, options.timeoutMs, signal)),
    ...samplingCalls(transport, can),
    ...catalog,
    /**
     * The files of a checkpoint in a folder of its own below `folder`; its path. A download that is there already is used.
     */
    downloadCheckpoint: async (path: string, folder: string, signal: AbortSignal): Promise<string> =>
      downloadCheckpoint({ path, folder, options, locate: catalog.archiveUrl, key: transport.key }, signal),
  };
}
