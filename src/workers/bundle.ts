import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { WorkerTracing } from '../observe/tracing.ts';

/** A program for the sandbox, with its source map in its last line. */
export interface WorkflowBundle {
  code: string;
}

export interface BundleOptions {
  /** Other workflows than ours: a test's. */
  workflowsPath?: string;
  /** Of the workers: how failures are written is part of the code in the sandbox. */
  dataConverter?: DataConverter | undefined;
  tracing?: WorkerTracing | undefined;
}

/** All workflow code as one file for the workers' sandbox: about a second. Worth sharing between workers. */
export function bundleWorkflows(options: BundleOptions = {}): Promise<WorkflowBundle> {
  const { workflowsPath = fileURLToPath(new URL('../workflows/index.ts', import.meta.url)), tracing } = options;
  const { payloadConverterPath, failureConverterPath } = options.dataConverter ?? {};
  return bundleWorkflowCode({
    workflowsPath,
    logger: new DefaultLogger('ERROR'),
    ...(payloadConverterPath !== undefined && { payloadConverterPath }),
    ...(failureConverterPath !== undefined && { failureConverterPath }),
    ...(tracing && { workflowInterceptorModules: tracing.workflowModules }),
  });
}

/**
 * Names the code of a bundle: 12 hex digits of its SHA-256, the same in every folder and on every machine. The source
 * map is left out, since it has the paths of this machine.
 */
export function buildIdOf({ code }: WorkflowBundle): string {
  const [program = ''] = code.split('//# sourceMappingURL=', 1);
  return createHash('sha256').update(program).digest('hex').slice(0, 12);
}
