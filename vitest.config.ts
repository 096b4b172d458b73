import { defineConfig } from 'vitest/config';

/**
 * `unit` needs nothing but this process. `temporal` starts the real dev server. `e2e` adds the real engine.
 * `services` speaks to third-party services in Python environments that `npm run test:services` makes.
 * `browser` opens pages in the Chromium of this machine, and is skipped where there is none.
 * Files of `unit` run two at a time; those of `temporal` three, since they wait more than they compute; all others one by
 * one: models on two cores would only slow each other down.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/workflows/**',
            'test/replay/**',
            'test/e2e/**',
            'test/chaos/**',
            'test/live/**',
            'test/browser/**',
            'test/**/*.temporal.test.ts',
          ],
          maxWorkers: 2,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'temporal',
          globalSetup: ['test/support/shared-bundle.ts'],
          include: ['test/workflows/**/*.test.ts', 'test/replay/**/*.test.ts', 'test/**/*.temporal.test.ts'],
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts'],
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'services',
          include: ['test/live/**/*.test.ts'],
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
