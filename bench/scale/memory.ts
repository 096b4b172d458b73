/** How much memory a process had when so many problems were done. */
export interface MemoryPoint {
  problems: number;
  bytes: number;
}

/** The last reading before so much of the run was done; null without one. */
export function memoryAt(points: readonly MemoryPoint[], problems: number): number | null {
  return points.findLast((point) => point.problems <= problems)?.bytes ?? points[0]?.bytes ?? null;
}

/**
 * Growth by least squares, in bytes per 1,000 problems, over what follows the first `warmup` problems: a process that
 * has just begun fills its caches. Null where fewer than three readings are left.
 */
export function memorySlope(points: readonly MemoryPoint[], warmup: number): number | null {
  const used = points.filter((point) => point.problems >= warmup);
  if (used.length < 3) return null;
  const mean = (pick: (point: MemoryPoint) => number) => used.reduce((sum, one) => sum + pick(one), 0) / used.length;
  const [x, y] = [mean((point) => point.problems), mean((point) => point.bytes)];
  const spread = used.reduce((sum, point) => sum + (point.problems - x) ** 2, 0);
  if (spread === 0) return null;
  return (used.reduce((sum, point) => sum + (point.problems - x) * (point.bytes - y), 0) / spread) * 1000;
}
