import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentKey, problemSlug, sha256Hex } from '../../src/core/key.ts';
import type { Json } from '../../src/core/problem.ts';

describe('content keys', () => {
  it('are 16 hex digits of the SHA-256 of canonical JSON', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(contentKey({ b: [1, 'x'], a: null })).toBe(sha256Hex('{"a":null,"b":[1,"x"]}').slice(0, 16));
  });

  it('do not depend on the order of fields, and differ with the content', () => {
    expect(contentKey({ a: 1, b: { c: 2, d: 3 } })).toBe(contentKey({ b: { d: 3, c: 2 }, a: 1 }));
    expect(contentKey({ a: 1 })).not.toBe(contentKey({ a: '1' }));
    expect(contentKey({ a: 1, b: undefined } as unknown as Json)).toBe(contentKey({ a: 1 }));
  });
});

describe('problem slugs', () => {
  it('are safe in file names and workflow ids, and short', () => {
    fc.assert(fc.property(fc.string(), (id) => /^[A-Za-z0-9_-]{8,49}$/.test(problemSlug(id))));
  });

  it('keep ids readable and apart', () => {
    expect(problemSlug('cd-4-9-3-39')).toMatch(/^cd-4-9-3-39-[0-9a-f]{8}$/);
    expect(problemSlug('test/algebra/12.json')).not.toBe(problemSlug('test-algebra-12-json'));
  });
});
