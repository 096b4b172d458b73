import type { PolicyConfig } from '../config/schema.ts';
import type { Control } from './control.ts';

/** Whether a stage's training is one job, from its data to its model. */
export const trainsByJob = (policy: PolicyConfig): boolean => policy.trainer?.kind === 'job';

/** One training job as a durable step. A person's `retry` after its failure begins another: the count tells it so. */
export function jobStep<T>(
  control: Control,
  name: string,
  body: (summary: string, failed: number) => Promise<T>,
): Promise<T> {
  let failed = 0;
  return control.step(`the job ${name}`, (again) => {
    if (again) failed += 1;
    return body(name, failed);
  });
}
