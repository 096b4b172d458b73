import type { WorkerOptions } from '@temporalio/worker';

/**
 * Worker Versioning: workers that name their version get the runs that belong to it. A pinned run stays with the version
 * it began on until it ends, with all its stages; one that upgrades goes to the version that is current at its next step,
 * which `patched` and the golden histories make safe.
 */
export interface Deployment {
  /** Of all versions of these workers. */
  name: string;
  /** Left out: the workflow code's own, see `buildIdOf`. */
  buildId?: string;
  runs: 'PINNED' | 'AUTO_UPGRADE';
}

export function deploymentOptions({ name, runs }: Deployment, buildId: string): Partial<WorkerOptions> {
  return {
    workerDeploymentOptions: {
      useWorkerVersioning: true,
      version: { deploymentName: name, buildId },
      defaultVersioningBehavior: runs,
    },
  };
}
