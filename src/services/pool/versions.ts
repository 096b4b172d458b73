import type { Server } from './server.ts';

/**
 * How the versions of a policy are told apart, and how one gets to a server that lacks it. A publisher has one of these
 * where it can; a version is what `Publisher.publish` named.
 */
export interface Versions {
  /** Whether a server may have to be brought this version; the base, for one, is there from the start. */
  concerns(version: string): boolean;
  /** What a request for this version says: `model`, and what goes with it. */
  fields(version: string): Record<string, unknown>;
  /** Whether weights that a server says it has answered with are this version's. */
  isFrom(version: string, said: string): boolean;
  has(version: string, server: Server, signal: AbortSignal): Promise<boolean>;
  /**
   * Makes a version that was published earlier known to a server; one that has it already is left as it is.
   * @throws ServiceError; `lost` where nobody knows the version any more
   */
  bring(version: string, server: Server, signal: AbortSignal): Promise<void>;
  /** A server has one version at a time: another one takes its place. */
  exclusive: boolean;
  /** Most that bringing one may take. */
  timeoutMs: number;
}

/** Servers know every version by its name as soon as the trainer has saved it. */
export const namedVersions: Versions = {
  concerns: () => false,
  fields: (model) => ({ model }),
  isFrom: () => true,
  has: async () => true,
  bring: async () => {},
  exclusive: false,
  timeoutMs: 0,
};
