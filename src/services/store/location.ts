import { ServiceError } from '../errors.ts';

/** Where artifacts are: a folder. */
export type StoreLocation = { kind: 'folder'; path: string };

/** Whether an address is a URL; anything else is the path of a folder. One letter before the colon is a drive. */
export function isUrl(address: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]+:/.test(address);
}

/** @throws ServiceError (fatal) that says what is wrong with the address */
export function parseLocation(address: string): StoreLocation {
  if (!isUrl(address)) return { kind: 'folder', path: address };
  throw new ServiceError('fatal', `ASTROFLOW_ARTIFACTS is ${JSON.stringify(address)}: it must be a folder`, {
    service: 'artifact store',
  });
}
