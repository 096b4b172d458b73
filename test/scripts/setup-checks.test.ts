import { describe, expect, it } from 'vitest';
import {
  compareVersions,
  findVersion,
  fingerprint,
  missingPackages,
  pinnedVersion,
  torchSources,
  usablePython,
} from '../../scripts/setup-checks.mjs';

describe('versions', () => {
  it('are found in what tools print', () => {
    expect(findVersion('temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)')).toBe('1.9.1');
    expect(findVersion('Python 3.11')).toBe('3.11');
    expect(findVersion('no number')).toBeNull();
  });

  it('compare by number, not by letter', () => {
    expect(compareVersions('1.10.0', '1.9.9')).toBeGreaterThan(0);
    expect(compareVersions('20.19', '20.19.0')).toBe(0);
    expect(compareVersions('3.9', '3.10')).toBeLessThan(0);
  });

  it('of Python are bounded by what torch has wheels for', () => {
    expect(['3.9.1', '3.10', '3.14.2', '3.15.0', '2.7'].map(usablePython)).toEqual([false, true, true, false, false]);
  });
});

describe('what is out of date', () => {
  it('is every package whose version differs, but for those of other platforms', () => {
    const wanted = {
      packages: {
        '': { version: '0.1.0' },
        'node_modules/a': { version: '1.0.0' },
        'node_modules/b': { version: '2.0.0' },
        'node_modules/c-darwin': { version: '1.0.0', optional: true },
      },
    };
    expect(missingPackages(wanted, null)).toEqual(['node_modules/a', 'node_modules/b']);
    const installed = { packages: { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.9.0' } } };
    expect(missingPackages(wanted, installed)).toEqual(['node_modules/b']);
  });

  it('shows in the fingerprint of the requirements', () => {
    expect(fingerprint(['a', 'b'])).not.toBe(fingerprint(['ab']));
  });
});

describe('torch', () => {
  it('has its version in the requirements', () => {
    expect(pinnedVersion('numpy==2.4.6\ntorch==2.13.0 ; python_version >= "3.10"\n', 'torch')).toBe('2.13.0');
    expect(pinnedVersion('torchvision==1.0\n', 'torch')).toBeNull();
  });

  it('is asked for as a CPU build first on Linux, where the plain one brings CUDA along', () => {
    expect(torchSources('2.13.0', 'linux').map((source) => source.args[0])).toEqual([
      'torch==2.13.0+cpu',
      'torch==2.13.0+cpu',
      'torch==2.13.0',
    ]);
    expect(torchSources('2.13.0', 'darwin')).toHaveLength(1);
  });
});
