import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countVotes, isApproved, readVote, type WrittenText } from '../../../src/core/language/votes.ts';

const written = (text: string): WrittenText => ({ text, stopReason: 'stop' });

describe('a vote', () => {
  it.each([
    ['All steps hold.\nVERDICT: good', 'good'],
    ['VERDICT: bad\n\n', 'bad'],
    ['Fine.\n\n**Verdict: Good**', 'good'],
    ['Fine.\n`VERDICT:bad`.', 'bad'],
    ['VERDICT: good\nor perhaps not', null],
    ['VERDICT: good or bad', null],
    ['The verdict: good', null],
    ['VERDICT: excellent', null],
    ['good', null],
    ['', null],
  ])('in %j is %j', (text, vote) => {
    expect(readVote(text)).toBe(vote);
  });

  it('is the last line’s, whatever stands before it', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('good' as const, 'bad' as const), (before, vote) => {
        expect(readVote(`${before}\nVERDICT: ${vote}`)).toBe(vote);
      }),
    );
  });
});

describe('counted votes', () => {
  it('leave answers unread that are cut off, missing or without a verdict', () => {
    const cutOff: WrittenText = { text: 'VERDICT: good', stopReason: 'length' };
    const answers = [written('VERDICT: good'), written('VERDICT: bad'), written('hm'), cutOff];
    expect(countVotes(answers, 6)).toEqual({ good: 1, bad: 1, unread: 4 });
  });

  it('add up to the votes asked for, and a server that gives more does not change that', () => {
    const texts = fc.array(fc.constantFrom('VERDICT: good', 'VERDICT: bad', 'neither'), { maxLength: 20 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 12 }), (answers, wanted) => {
        const { good, bad, unread } = countVotes(answers.map(written), wanted);
        expect(good + bad + unread).toBe(wanted);
        expect(unread).toBeGreaterThanOrEqual(Math.max(0, wanted - answers.length));
      }),
    );
  });
});

describe('approval', () => {
  const votes = (good: number, bad: number, unread = 0) => ({ good, bad, unread });

  it.each([
    [votes(8, 0), true, true],
    [votes(7, 1), false, true],
    [votes(7, 0, 1), false, true],
    [votes(5, 3), false, true],
    [votes(4, 4), false, false],
    [votes(4, 0, 4), false, false],
    [votes(0, 0), false, false],
  ])('of %j is %j when unanimous, %j by majority', (count, unanimous, majority) => {
    expect(isApproved(count, 'unanimous')).toBe(unanimous);
    expect(isApproved(count, 'majority')).toBe(majority);
  });
});
