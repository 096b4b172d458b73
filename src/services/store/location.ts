import { ServiceError } from '../errors.ts';
import { SEGMENT } from './encoding.ts';

export interface S3Location {
  kind: 's3';
  bucket: string;
  /** Folder inside the bucket, without slashes at its ends; empty for the whole bucket. */
  prefix: string;
  /** Where the bucket's name goes, in the path or before the host; null: as the endpoint suggests. */
  addressing: 'path' | 'virtual' | null;
}

/** Where artifacts are. */
export type StoreLocation = { kind: 'folder'; path: string } | S3Location;

/** Whether an address is a URL; anything else is the path of a folder. One letter before the colon is a drive. */
export function isUrl(address: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]+:/.test(address);
}

const bucketName = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;
/** S3 takes keys of 1,024 bytes; an artifact's name has up to 512 of them. */
const mostPrefix = 500;

/** @throws ServiceError (fatal) that lists all that is wrong with the address */
export function parseLocation(address: string): StoreLocation {
  if (!isUrl(address)) return { kind: 'folder', path: address };
  const [, bucket, path = '', query = ''] = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?(.*))?$/.exec(address) ?? [];
  if (bucket === undefined) throw wrong(address, ['it must be a folder, or s3://BUCKET/PREFIX']);
  const prefix = path.replace(/\/$/, '');
  const options = new URLSearchParams(query);
  const addressing = options.get('addressing');
  const problems = [
    ...(bucket.includes('@')
      ? ['keys do not belong into it: see AWS_ACCESS_KEY_ID']
      : bucketName.test(bucket)
        ? []
        : [`${JSON.stringify(bucket)} is no name of a bucket`]),
    ...(prefix === '' || (prefix.length <= mostPrefix && prefix.split('/').every((part) => SEGMENT.test(part)))
      ? []
      : [
          `the prefix must be segments of A-Z, a-z, 0-9, ".", "_", "-" (no leading dot) joined by "/", ` +
            `${mostPrefix} characters in all`,
        ]),
    ...[...options.keys()]
      .filter((name) => name !== 'addressing')
      .map((name) => `there is no option ${JSON.stringify(name)}; there is "addressing"`),
    ...(addressing === null || addressing === 'path' || addressing === 'virtual'
      ? []
      : ['"addressing" is "path" or "virtual"']),
  ];
  if (problems.length > 0) throw wrong(address, problems);
  return { kind: 's3', bucket, prefix, addressing: addressing as S3Location['addressing'] };
}

function wrong(address: string, problems: readonly string[]): ServiceError {
  // Keys that somebody put into the URL must not reach a log.
  const shown = JSON.stringify(address.replace(/\/\/.*@/, '//…@'));
  return new ServiceError('fatal', `ASTROFLOW_ARTIFACTS is ${shown}: ${problems.join('; ')}`, {
    service: 'artifact store',
  });
}
