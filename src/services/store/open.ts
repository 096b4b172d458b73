import { folderStore } from './folder.ts';
import { parseLocation } from './location.ts';
import type { ArtifactStore } from './store.ts';

/**
 * The store at an address (`ASTROFLOW_ARTIFACTS`): a folder, or `s3://BUCKET/PREFIX`. Nothing is read or written yet.
 * @throws ServiceError (fatal) for an address that means no store
 */
export async function openStore(address: string): Promise<ArtifactStore> {
  const location = parseLocation(address);
  if (location.kind === 'folder') return folderStore(location.path);
  // Loaded where it is wanted: the SDK takes a fifth of a second, which commands on a folder need not wait.
  const { s3Store } = await import('./s3.ts');
  return s3Store(location);
}
