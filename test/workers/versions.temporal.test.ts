import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporalBinary } from '../../src/cli/paths.ts';
import { buildIdOf, bundleWorkflows, type WorkflowBundle } from '../../src/workers/bundle.ts';
import type { Deployment } from '../../src/workers/deployment.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { closedSampler } from '../support/closed-sampler.ts';
import { type Doubles, openScripted } from '../support/doubles.ts';
import { historyOf } from '../support/history.ts';
import { type Pipeline, shortRun, startPipeline } from '../support/pipeline.ts';
import { sharedBundle } from '../support/shared-bundle.ts';

let pipeline: Pipeline;
let ours: WorkflowBundle;
let changed: WorkflowBundle;
beforeAll(async () => {
  pipeline = await startPipeline();
  const workflowsPath = fileURLToPath(new URL('../fixtures/changed-workflows.ts', import.meta.url));
  ours = await sharedBundle();
  changed = await bundleWorkflows({ workflowsPath });
});
afterAll(() => pipeline?.close());

/** Workers of one version, as the processes of a release are. */
async function deploy(deployment: Deployment, workflowBundle: WorkflowBundle, doubles: Doubles = {}) {
  const workers = await createWorkers({
    connection: pipeline.env.nativeConnection,
    namespace: pipeline.env.namespace ?? 'default',
    deps: { store: pipeline.store, services: openScripted()(doubles) },
    taskQueue: deployment.name,
    workflowBundle,
    deployment,
  });
  const running = workers.run();
  return {
    buildId: workers.buildId as string,
    async stop() {
      workers.shutdown();
      await running;
    },
  };
}

const execute = promisify(execFile);

/** As an operator types it; the server knows a version a moment after its workers have asked for work. */
async function setCurrent({ name }: Deployment, buildId: string): Promise<void> {
  const version = ['--deployment-name', name, '--build-id', buildId];
  const command = [
    'worker',
    'deployment',
    'set-current-version',
    ...version,
    '--yes',
    '--address',
    pipeline.env.address,
  ];
  await vi.waitFor(() => execute(temporalBinary(), command), { timeout: 30_000, interval: 200 });
}

function start(run: string, { name }: Deployment) {
  const args: Parameters<typeof astroPipeline> = [{ ...shortRun, run, salt: run }];
  return pipeline.client.workflow.start(astroPipeline, { workflowId: `astro/${run}`, taskQueue: name, args });
}

interface TaskDone {
  workflowTaskCompletedEventAttributes?: { deploymentVersion?: { buildId: string } };
}

/** Versions of all workers that took a step of a run or of one of its stages. */
async function versionsOf(run: string): Promise<string[]> {
  const versions = new Set<string>();
  for await (const { workflowId, runId } of pipeline.client.workflow.list({
    query: `WorkflowId STARTS_WITH "astro/${run}"`,
  })) {
    const { events } = await historyOf(pipeline.client.workflow.getHandle(workflowId, runId));
    for (const event of events as TaskDone[]) {
      const done = event.workflowTaskCompletedEventAttributes;
      if (done !== undefined) versions.add(done.deploymentVersion?.buildId ?? 'none');
    }
  }
  return [...versions];
}

/** Until the run waits for its first answers. */
const isSearching = (handle: WorkflowHandle) =>
  vi.waitFor(
    async () => {
      const { stages } = await handle.query<{ stages: { state: string }[] }>('progress');
      expect(stages[0]?.state).toBe('running');
    },
    { timeout: 20_000, interval: 100 },
  );

describe('a changed worker that is deployed while a run goes on', () => {
  it('gets the new runs, while the run that goes on ends on the version it began with', async () => {
    const deployment: Deployment = { name: 'pinned', runs: 'PINNED' };
    const closed = closedSampler();
    const before = await deploy(deployment, ours, closed);
    expect(before.buildId).toBe(buildIdOf(ours));
    await setCurrent(deployment, before.buildId);
    const going = await start('going', deployment);
    await isSearching(going);

    const after = await deploy(deployment, changed);
    expect(after.buildId).not.toBe(before.buildId);
    await setCurrent(deployment, after.buildId);
    const fresh = await start('fresh', deployment);
    await fresh.result();
    expect(await going.describe()).toMatchObject({ status: { name: 'RUNNING' } });

    closed.open();
    await going.result();
    await vi.waitFor(async () => {
      expect(await versionsOf('going')).toEqual([before.buildId]);
      expect(await versionsOf('fresh')).toEqual([after.buildId]);
    });
    await Promise.all([before.stop(), after.stop()]);
  });

  it('takes over a run that may upgrade, with all that is under way', async () => {
    const deployment: Deployment = { name: 'upgrading', runs: 'AUTO_UPGRADE', buildId: 'first' };
    const closed = closedSampler();
    const first = await deploy(deployment, ours, closed);
    await setCurrent(deployment, 'first');
    const going = await start('upgraded', deployment);
    await isSearching(going);

    const second = await deploy({ ...deployment, buildId: 'second' }, ours);
    await setCurrent(deployment, 'second');
    closed.open();
    await first.stop();
    await going.result();
    expect((await versionsOf('upgraded')).sort()).toEqual(['first', 'second']);
    await second.stop();
  });
});

describe('the build id', () => {
  it('changes with the workflow code and with nothing else', () => {
    const [program] = ours.code.split('//# sourceMappingURL=');
    expect(buildIdOf(ours)).toMatch(/^[0-9a-f]{12}$/);
    expect(buildIdOf({ code: `${program}//# sourceMappingURL=data:another folder` })).toBe(buildIdOf(ours));
    expect(buildIdOf({ code: ours.code.replace('astroPipeline', 'otherPipeline') })).not.toBe(buildIdOf(ours));
  });
});
