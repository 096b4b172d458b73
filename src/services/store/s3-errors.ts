import { ServiceError, type ServiceErrorKind } from '../errors.ts';

/** Errors of the AWS SDK, by what the caller should do. */

interface SdkError extends Error {
  code?: unknown;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

const isSdkError = (error: unknown): error is SdkError => error instanceof Error;

/** HTTP status of an answer that was an error. */
export function statusOf(error: unknown): number | undefined {
  return isSdkError(error) ? error.$metadata?.httpStatusCode : undefined;
}

/** The object is not there. A bucket that is not there is told apart wherever the answer has a body. */
export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket';
}

/** Somebody else has written the object: the condition of a conditional write does not hold. */
export const isTaken = (error: unknown): boolean => statusOf(error) === 412;

/** Two conditional writes met: neither is told who won, so both ask again. */
export const isConflict = (error: unknown): boolean =>
  isSdkError(error) && error.name === 'ConditionalRequestConflict' && statusOf(error) === 409;

const accessDenied =
  'access denied: the credentials must allow listing the bucket, and reading and writing below the prefix ' +
  '(docs/artifact-stores.md has the policy); without listing, S3 says so of absent objects too';
const wrongKey =
  'the access key or its secret is wrong: see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE';
const expired =
  'the credentials have expired: renew them, work continues by itself (a worker that has them in its environment must be started again)';
const busy = 'the store is busy: work continues by itself; fewer workers or a lower concurrency ask for less';
const unreachable = 'it cannot be reached: see AWS_ENDPOINT_URL_S3, AWS_REGION and the network';
const certificate = 'its TLS certificate is not trusted: NODE_EXTRA_CA_CERTS names a file with a CA of your own';
const region = 'the bucket is in another region: set AWS_REGION to it';
const full = 'the store is full, or the quota used up: free some space, work continues by itself';

type Advice = readonly [kind: ServiceErrorKind, advice: string];

const byName: Record<string, Advice> = {
  NoSuchBucket: ['fatal', 'there is no such bucket: create it, or correct ASTROFLOW_ARTIFACTS'],
  AccessDenied: ['fatal', accessDenied],
  AllAccessDisabled: ['fatal', accessDenied],
  InvalidAccessKeyId: ['fatal', wrongKey],
  SignatureDoesNotMatch: ['fatal', wrongKey],
  ExpiredToken: ['retryable', expired],
  ExpiredTokenException: ['retryable', expired],
  TokenRefreshRequired: ['retryable', expired],
  CredentialsProviderError: [
    'retryable',
    'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role',
  ],
  PermanentRedirect: ['fatal', region],
  AuthorizationHeaderMalformed: ['fatal', region],
  RequestTimeTooSkewed: ['retryable', "this machine's clock is wrong: set it, work continues by itself"],
  SlowDown: ['retryable', busy],
  TooManyRequestsException: ['retryable', busy],
  QuotaExceeded: ['retryable', full],
  XMinioStorageFull: ['retryable', full],
  InvalidObjectState: [
    'fatal',
    'the object is archived: restore it, and keep artifacts out of archiving lifecycle rules',
  ],
  NoSuchUpload: ['retryable', 'the upload in parts was ended by somebody else'],
  BadDigest: ['retryable', 'it was damaged on the way'],
  XAmzContentSHA256Mismatch: ['retryable', 'it was damaged on the way'],
  NotImplemented: [
    'fatal',
    'the server does not support the request; where checksums are the reason, set AWS_REQUEST_CHECKSUM_CALCULATION=WHEN_REQUIRED',
  ],
};

const byCode: Record<string, Advice> = {
  ECONNREFUSED: ['retryable', unreachable],
  ECONNRESET: ['retryable', unreachable],
  EPIPE: ['retryable', unreachable],
  EAI_AGAIN: ['retryable', unreachable],
  EHOSTUNREACH: ['retryable', unreachable],
  ENETUNREACH: ['retryable', unreachable],
  ENOTFOUND: ['retryable', `${unreachable}; a server without a DNS name for each bucket wants ?addressing=path`],
  ERR_STREAM_PREMATURE_CLOSE: ['retryable', unreachable],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['fatal', certificate],
  SELF_SIGNED_CERT_IN_CHAIN: ['fatal', certificate],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['fatal', certificate],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['fatal', certificate],
  CERT_HAS_EXPIRED: ['fatal', certificate],
  ERR_TLS_CERT_ALTNAME_INVALID: ['fatal', certificate],
};

/** What is known of an error; null of one that is not the store's. */
function adviceFor(error: SdkError): Advice | null {
  const known = byName[error.name] ?? byCode[String(error.code)];
  if (known !== undefined) return known;
  if (error.message.includes('Region is missing'))
    return [
      'fatal',
      'no region is set: set AWS_REGION (that of the bucket; servers of your own take any, as us-east-1)',
    ];
  const status = statusOf(error);
  if (status === undefined) return null;
  if (status === 301) return ['fatal', region];
  if (status === 401 || status === 403) return ['fatal', accessDenied];
  if (status === 429 || status === 503) return ['retryable', busy];
  return [status >= 500 || status === 408 || status === 409 ? 'retryable' : 'fatal', `${error.name}: ${error.message}`];
}

/** Errors of the store as ServiceErrors that say what to do; anything else unchanged. */
export function explain(error: unknown, what: string): unknown {
  if (!isSdkError(error) || error instanceof ServiceError) return error;
  const status = statusOf(error);
  const details = { service: 'artifact store', cause: error, ...(status !== undefined && { status }) };
  if (['TimeoutError', 'AbortError'].includes(error.name))
    return new ServiceError('retryable', `${what}: there was no answer in time`, { ...details, timedOut: true });
  const known = adviceFor(error);
  if (known === null) return error;
  const place = error.$response?.headers?.['x-amz-bucket-region'];
  const [kind, advice] = known;
  const where = advice === region && place !== undefined ? ` (${place})` : '';
  return new ServiceError(kind, `${what}: ${advice}${where}`, details);
}
