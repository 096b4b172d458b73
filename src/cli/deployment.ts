import type { Deployment } from '../workers/deployment.ts';
import { CliError } from './errors.ts';

const behaviours: Record<string, Deployment['runs']> = { pinned: 'PINNED', 'auto-upgrade': 'AUTO_UPGRADE' };

/** What names the version of a worker: a letter or digit, then also the signs that the server allows in both names. */
const nameForm = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/;

/**
 * Worker Versioning as the environment has it; null without `TEMPORAL_DEPLOYMENT_NAME`.
 * @throws CliError with all that is wrong
 */
export function deploymentFrom(env: NodeJS.ProcessEnv): Deployment | null {
  const name = env.TEMPORAL_DEPLOYMENT_NAME;
  if (!name) return null;
  const buildId = env.TEMPORAL_WORKER_BUILD_ID || undefined;
  const runs = behaviours[env.ASTROFLOW_VERSIONING || 'pinned'];
  const problems: string[] = [];
  if (!nameForm.test(name)) problems.push(`TEMPORAL_DEPLOYMENT_NAME is "${name}": ${nameRule}`);
  if (buildId !== undefined && !nameForm.test(buildId.replaceAll('.', '')))
    problems.push(`TEMPORAL_WORKER_BUILD_ID is "${buildId}": ${nameRule}, and "."`);
  if (runs === undefined)
    problems.push(
      `ASTROFLOW_VERSIONING is "${env.ASTROFLOW_VERSIONING}": write ${Object.keys(behaviours).join(' or ')}`,
    );
  if (runs === undefined || problems.length > 0) throw new CliError(problems.join('\n'));
  return { name, runs, ...(buildId !== undefined && { buildId }) };
}

const nameRule = 'it may have letters, digits, "-" and "_", at most 100';

/** What has to be typed until runs come to a version: workers alone do not make it the current one. */
export function setCurrentCommand(name: string, buildId: string): string {
  return `temporal worker deployment set-current-version --deployment-name ${name} --build-id ${buildId}`;
}
