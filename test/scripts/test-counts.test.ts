import { describe, expect, it } from 'vitest';
import { pytestCounts, summaryLine, vitestCounts } from '../../scripts/test.mjs';

describe('the count over all runners', () => {
  it('reads the closing line of pytest', () => {
    expect(pytestCounts('....\n12 passed in 3.20s\n')).toEqual({ passed: 12, failed: 0, skipped: 0 });
    expect(pytestCounts('2 failed, 10 passed, 1 skipped, 3 warnings, 1 error in 3.20s')).toEqual({
      passed: 10,
      failed: 3,
      skipped: 1,
    });
    expect(pytestCounts('no tests ran')).toBeNull();
  });

  it('reads the report of vitest', () => {
    const report = { numPassedTests: 3, numFailedTests: 1, numPendingTests: 2, numTodoTests: 0 };
    expect(vitestCounts(JSON.stringify(report))).toEqual({ passed: 3, failed: 1, skipped: 2 });
  });

  it('is one line', () => {
    expect(summaryLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
    expect(summaryLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
  });
});
