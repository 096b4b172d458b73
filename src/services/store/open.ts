import { folderStore } from './folder.ts';
import { parseLocation } from './location.ts';
import type { ArtifactStore } from './store.ts';

/**
 * The store at an address (`ASTROFLOW_ARTIFACTS`). Nothing is read or written yet.
 * @throws ServiceError (fatal) for an address that means no store
 */
export async function openStore(address: string): Promise<ArtifactStore> {
  const location = parseLocation(address);
  return folderStore(location.path);
}
