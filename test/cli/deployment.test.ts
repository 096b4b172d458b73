import { describe, expect, it } from 'vitest';
import { deploymentFrom } from '../../src/cli/deployment.ts';

describe('worker versioning in the environment', () => {
  it('is off without a name, whatever else is set', () => {
    expect(deploymentFrom({})).toBeNull();
    expect(
      deploymentFrom({ TEMPORAL_DEPLOYMENT_NAME: '', TEMPORAL_WORKER_BUILD_ID: 'x', ASTROFLOW_VERSIONING: '?' }),
    ).toBeNull();
  });

  it('pins runs unless told otherwise, and names its version itself unless told', () => {
    expect(deploymentFrom({ TEMPORAL_DEPLOYMENT_NAME: 'astroflow' })).toEqual({ name: 'astroflow', runs: 'PINNED' });
    expect(
      deploymentFrom({
        TEMPORAL_DEPLOYMENT_NAME: 'astroflow',
        TEMPORAL_WORKER_BUILD_ID: 'v1.2.0-3e4f5a6',
        ASTROFLOW_VERSIONING: 'auto-upgrade',
      }),
    ).toEqual({ name: 'astroflow', buildId: 'v1.2.0-3e4f5a6', runs: 'AUTO_UPGRADE' });
  });

  it('lists all that is wrong with it', () => {
    const wrong = {
      TEMPORAL_DEPLOYMENT_NAME: 'astro.flow',
      TEMPORAL_WORKER_BUILD_ID: 'a b',
      ASTROFLOW_VERSIONING: 'both',
    };
    expect(() => deploymentFrom(wrong)).toThrow(
      /TEMPORAL_DEPLOYMENT_NAME is "astro\.flow".*\nTEMPORAL_WORKER_BUILD_ID is "a b".*\nASTROFLOW_VERSIONING is "both": write pinned or auto-upgrade/,
    );
  });
});
