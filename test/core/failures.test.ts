import { describe, expect, it } from 'vitest';
import { type FailureType, failureTypes, isServiceFailure, isWorthAsking } from '../../src/core/failures.ts';

const types = Object.keys(failureTypes) as FailureType[];

describe('a failure that is left when the attempts are used up', () => {
  it('ends the run where only another input can help, else is put before a person', () => {
    expect(types.filter((type) => !isWorthAsking(type))).toEqual(['InvalidConfig', 'MissingInput', 'SearchFailed']);
    expect(isWorthAsking(undefined)).toBe(true);
    expect(isWorthAsking('TypeError')).toBe(true);
  });

  it('of a service is no reason to leave one problem behind', () => {
    expect(types.filter(isServiceFailure)).toEqual([
      'ServiceRefused',
      'NewerArtifact',
      'ServiceUnavailable',
      'ServiceLostState',
    ]);
    expect(isServiceFailure('CorruptArtifact')).toBe(false);
    expect(isServiceFailure(undefined)).toBe(false);
  });
});
