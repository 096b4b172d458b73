import { jobRuns } from './job-runs.ts';

/** The same runs with jobs of a real Ray cluster: `test/live/ray.test.ts`. */
jobRuns('this machine', { launcher: () => ({ kind: 'process' }), pollMs: 100, lookMs: 10 });
