import { describe, expect, it } from 'vitest';
import { limiter } from '../../src/services/limit.ts';

describe('a limiter', () => {
  it('runs so many tasks at a time and no more, in the order they came', async () => {
    const limited = limiter(2);
    const started: number[] = [];
    const finish: (() => void)[] = [];
    const tasks = [0, 1, 2, 3].map((index) =>
      limited(async () => {
        started.push(index);
        await new Promise<void>((resolve) => finish.push(resolve));
        return index;
      }),
    );
    await Promise.resolve();
    expect(started).toEqual([0, 1]);
    finish[0]?.();
    await tasks[0];
    expect(started).toEqual([0, 1, 2]);
    finish[1]?.();
    finish[2]?.();
    await tasks[2];
    finish[3]?.();
    expect(await Promise.all(tasks)).toEqual([0, 1, 2, 3]);
  });

  it('gives the place of a task that failed to the next', async () => {
    const limited = limiter(1);
    const failing = limited(() => Promise.reject(new Error('no')));
    const next = limited(async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
