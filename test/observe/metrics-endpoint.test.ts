import { describe, expect, it } from 'vitest';
import { metricsEndpoint } from '../../src/observe/metrics-endpoint.ts';

const bound = (address: string) => metricsEndpoint({ ASTROFLOW_METRICS_ADDRESS: address });

describe('ASTROFLOW_METRICS_ADDRESS', () => {
  it('shows nothing where it is unset or empty', () => {
    expect([metricsEndpoint({}), bound('')]).toEqual([undefined, undefined]);
  });

  it.each([
    ['127.0.0.1:9464', '127.0.0.1:9464'],
    ['localhost:9464', '127.0.0.1:9464'],
    ['0.0.0.0:80', '0.0.0.0:80'],
    ['[::1]:9464', '[::1]:9464'],
  ])('%s is bound as %s', (address, bindAddress) => {
    expect(bound(address)).toMatchObject({ prometheus: { bindAddress } });
  });

  it.each(['9464', 'worker:9464', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:70000', 'http://127.0.0.1:9464'])(
    '%s is refused with its name and an example',
    (address) => {
      expect(() => bound(address)).toThrow(/^ASTROFLOW_METRICS_ADDRESS is .*127\.0\.0\.1:9464/);
    },
  );
});
