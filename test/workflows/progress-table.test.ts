import { describe, expect, it } from 'vitest';
import { progressTable } from '../../src/workflows/progress-table.ts';

const nowMs = Date.UTC(2026, 0, 5);
const stage = { name: 'search', state: 'attention', done: 1, total: 3, unit: 'problems', tokens: 0 } as const;

describe('the current details of a workflow', () => {
  it('show what servers and problems say as text, and as nothing else', () => {
    const hostile = 'see [this](https://evil.example) ![x](https://evil.example/y.png) <img src=x> | a ``` b';
    const details = progressTable(
      [
        {
          ...stage,
          note: hostile,
          attention: { what: hostile, why: `${hostile}\n# heading`, sinceMs: nowMs, offers: {}, refuses: {} },
        },
      ],
      { nowMs },
    );
    const [before = '', block = '', after = ''] = details.split('\n````');
    expect(block.startsWith(`text\n${hostile}\n# heading`)).toBe(true);
    const shown =
      'see \\[this\\](https://evil.example) !\\[x\\](https://evil.example/y.png) \\<img src=x\\> \\| a \\`\\`\\` b';
    expect(before.split(shown)).toHaveLength(3);
    expect(before.replaceAll(shown, '') + after).not.toContain('evil');
  });
});
