import { describe, expect, it } from 'vitest';
import { folderStore } from '../../src/services/store/folder.ts';
import { parseLocation } from '../../src/services/store/location.ts';
import { openStore } from '../../src/services/store/open.ts';

describe('the address of an artifact store', () => {
  it.each([
    ['/data/artifacts', { kind: 'folder', path: '/data/artifacts' }],
    ['C:\\artifacts', { kind: 'folder', path: 'C:\\artifacts' }],
    ['s3://lab-1', { kind: 's3', bucket: 'lab-1', prefix: '', addressing: null }],
    ['s3://lab-1/', { kind: 's3', bucket: 'lab-1', prefix: '', addressing: null }],
    ['s3://lab.x/team/astro_1/', { kind: 's3', bucket: 'lab.x', prefix: 'team/astro_1', addressing: null }],
    ['s3://lab/p?addressing=virtual', { kind: 's3', bucket: 'lab', prefix: 'p', addressing: 'virtual' }],
    ['s3://lab?addressing=path', { kind: 's3', bucket: 'lab', prefix: '', addressing: 'path' }],
  ])('%s is read', (address, location) => {
    expect(parseLocation(address)).toEqual(location);
  });

  it.each([
    ['gs://bucket/prefix', ['it must be a folder, or s3://BUCKET/PREFIX']],
    ['s3:bucket', ['it must be a folder, or s3://BUCKET/PREFIX']],
    ['s3://', ['"" is no name of a bucket']],
    ['s3://b/p', ['"b" is no name of a bucket']],
    ['s3://bucket/../other', ['the prefix must be segments']],
    ['s3://bucket/a//b', ['the prefix must be segments']],
    [`s3://bucket/${'long/'.repeat(200)}`, ['500 characters in all']],
    [
      's3://-/a b?addressing=dns&region=x',
      ['"-" is no name', 'prefix must', 'no option "region"', 'is "path" or "virtual"'],
    ],
  ])('%s is refused, with all that is wrong', async (address, problems) => {
    const refused = expect(openStore(address)).rejects;
    await refused.toMatchObject({ name: 'ServiceError', kind: 'fatal' });
    for (const problem of [`ASTROFLOW_ARTIFACTS is "${address.slice(0, 20)}`, ...problems])
      await expect(openStore(address)).rejects.toThrow(problem);
  });

  it('is not repeated where it holds keys', async () => {
    const refused = openStore('s3://key:secret@bucket/p').catch((error: Error) => error.message);
    expect(await refused).toBe(
      'ASTROFLOW_ARTIFACTS is "s3://…@bucket/p": keys do not belong into it: see AWS_ACCESS_KEY_ID',
    );
  });

  it('opens a folder as the store of a folder', async () => {
    const store = await openStore('/data/artifacts');
    expect(store.locate('runs/r/report.md')).toBe(folderStore('/data/artifacts').locate('runs/r/report.md'));
  });
});
