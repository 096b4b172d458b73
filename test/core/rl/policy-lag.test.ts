import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyLag } from '../../../src/core/rl/policy-lag.ts';

describe('policy lag', () => {
  it('is 0 where all answers are of the version that is trained', () => {
    expect(policyLag(['v3', 'v3'], ['v1', 'v2', 'v3'])).toBe(0);
    expect(policyLag([], ['v1'])).toBe(0);
  });

  it("is that of the oldest answer's version", () => {
    expect(policyLag(['v3', 'v1', 'v2'], ['v1', 'v2', 'v3'])).toBe(2);
  });

  it('is larger than any known lag for a version that nobody knows', () => {
    expect(policyLag(['v3', 'other'], ['v1', 'v2', 'v3'])).toBe(3);
  });

  it('grows by one with every version that is trained since', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { minLength: 1 }), fc.nat(), fc.string(), (versions, pick, next) => {
        fc.pre(!versions.includes(next));
        const used = versions[pick % versions.length] as string;
        expect(policyLag([used], [...versions, next])).toBe(policyLag([used], versions) + 1);
      }),
    );
  });
});
