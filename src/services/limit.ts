/** Runs at most `most` tasks at a time, in the order they came. */
export function limiter(most: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await task();
    } finally {
      // The place goes to the next one directly, or is free.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
