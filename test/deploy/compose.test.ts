// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Compose writes its variables like that
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { defaultGraceMs, forceAfterMs } from '../../src/workers/worker.ts';
import { type Compose, interpolate, interpolated, readCompose, type Service, secondsOf } from '../support/compose.ts';
import { readStages } from '../support/dockerfile.ts';
import { readEnvExample } from '../support/env-example.ts';

const version = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
const example = readEnvExample();
/** As `deploy/new-env.sh` leaves them. */
const env = Object.fromEntries(example.filter(({ isSet }) => isSet).map(({ name }) => [name, `random-${name}`]));
const optional = ['s3', 'vllm', 'observability'];
const profiles = [[], ...optional.map((name) => [name]), optional];
const all = readCompose(env, optional);
const services = Object.entries(all.services);
const stages = readStages(readFileSync('Dockerfile', 'utf8'));

/** The Compose Specification's schema, in the copy that the linter of compose files brings. */
function specification(): object {
  const linter = dirname(createRequire(import.meta.url).resolve('dclint/package.json'));
  const schema = JSON.parse(readFileSync(join(linter, 'schemas', 'compose.schema.json'), 'utf8'));
  // Draft 7, which ajv knows by its http address only.
  return { ...schema, $schema: 'http://json-schema.org/draft-07/schema#' };
}

function serviceOf(compose: Compose, name: string): Service {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`there is no service ${name}`);
  return found;
}

const isOneShot = ({ restart }: Service) => restart?.startsWith('on-failure:');

describe('docker-compose.yml', () => {
  const validate = new Ajv({ allowUnionTypes: true, strict: false, validateFormats: false }).compile(specification());

  it.each(profiles)('is a compose file by the specification, with the profiles %j %j %j', (...of: string[]) => {
    expect(validate(readCompose(env, of)) ? [] : validate.errors).toEqual([]);
  });

  it('is not, when a line is wrong', () => {
    const wrong = structuredClone(all);
    Object.assign(serviceOf(wrong, 'worker'), { restarts: 'always' });
    expect(validate(wrong)).toBe(false);
  });

  it('starts these services, and more by profile', () => {
    const usual = [
      'postgresql',
      'temporal-schema',
      'temporal',
      'temporal-namespace',
      'temporal-ui',
      'engine',
      'worker',
      'page',
    ];
    const named = (...of: string[]) => Object.keys(readCompose(env, of).services);
    expect(named()).toEqual(usual);
    expect(named('s3')).toEqual([...usual, 's3']);
    expect(named('vllm')).toEqual([...usual, 'vllm']);
    expect(named('observability')).toEqual([...usual, 'prometheus', 'grafana', 'otel-collector']);
  });

  it.each(Object.keys(env))('does not start without %s, and says what makes one', (name) => {
    expect(() => readCompose({ ...env, [name]: '' })).toThrow(`${name} is empty - run "sh deploy/new-env.sh"`);
  });

  it('has no password, token or key of its own', () => {
    const raw = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as Compose;
    for (const [name, { environment = {} }] of Object.entries(raw.services))
      for (const [variable, value] of Object.entries(environment))
        if (/PASSWORD|PWD|TOKEN|SECRET|KEY/.test(variable) && value !== null)
          expect(value, `${name}: ${variable}`).toMatch(/^\$\{[A-Z_]+(:-|:\?[^}]+)?\}$/);
  });

  it('pins every image, and builds its own under the version of the package', () => {
    for (const [name, { image, build }] of services) {
      if (build) expect(image, name).toBe(`astroflow-${build.target}:${version}`);
      else expect(image, name).toMatch(/^[a-z/-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$/);
    }
    for (const { base } of stages.values()) expect(base).toMatch(/^[a-z]+:\d+\.\d+\.\d+-slim-[a-z]+$|-slim$/);
    const tag = (name: string) => serviceOf(all, name).image.split(':')[1];
    expect(tag('temporal-schema')).toBe(tag('temporal'));
    expect(tag('temporal-namespace')).toBe(tag('temporal'));
  });

  it('publishes on 127.0.0.1 only, each port of the host once, and Temporal, page and engine at their usual ports', () => {
    const ports = services.flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, ...port.split(':')] as const),
    );
    expect(ports.map(([, address]) => address)).toEqual(ports.map(() => '127.0.0.1'));
    const host = ports.map(([, , port]) => port);
    expect(new Set(host).size).toBe(host.length);
    const published = Object.fromEntries(ports.map(([name, , port, inside]) => [name, [port, inside]]));
    expect(published).toMatchObject({
      temporal: ['7233', '7233'],
      'temporal-ui': ['8233', '8080'],
      page: ['8234', '8234'],
      engine: ['8000', '8000'],
    });
  });

  it('stops a worker only after it could have stopped by itself', () => {
    const needed = (defaultGraceMs + forceAfterMs) / 1000;
    const worker = serviceOf(all, 'worker');
    expect(worker.command).toBeUndefined();
    expect(secondsOf(worker.stop_grace_period ?? '')).toBeGreaterThanOrEqual(needed + 10);
  });

  it('waits for what is healthy, and for one shots to have ended well', () => {
    for (const [name, { depends_on = {} }] of services)
      for (const [on, { condition }] of Object.entries(depends_on)) {
        const needed = serviceOf(all, on);
        const isHealthChecked = needed.healthcheck ?? stages.get(needed.build?.target ?? '');
        if (isOneShot(needed)) expect(condition, `${name} on ${on}`).toBe('service_completed_successfully');
        else if (condition === 'service_healthy') expect(isHealthChecked, `${name} on ${on}`).toBeDefined();
        else expect(condition).toBe('service_started');
      }
    for (const [name, service] of services)
      expect(isOneShot(service) || service.restart === 'unless-stopped', name).toBe(true);
  });

  it('mounts what is there, and names every volume', () => {
    const made = new Set<string>();
    for (const [name, { volumes = [], entrypoint = [] }] of services) {
      for (const volume of volumes) {
        const [source = '', target = '', mode] = volume.split(':');
        if (!source.startsWith('./')) made.add(source);
        // Of one's own, and not there in a fresh clone.
        else if (source !== './models') expect(existsSync(source), `${name}: ${source}`).toBe(true);
        if (source.startsWith('./')) expect(mode, `${name}: ${source}`).toBe('ro');
        const script = entrypoint.find((word) => word.startsWith(`${target}/`));
        if (script) expect(existsSync(script.replace(target, source)), script).toBe(true);
      }
    }
    expect([...made].sort()).toEqual(Object.keys(all.volumes).sort());
  });

  it('bounds the memory of what runs on, and what a container of ours may do', () => {
    for (const [name, service] of services) {
      if (!isOneShot(service) && name !== 'vllm') expect(service.deploy?.resources?.limits?.memory, name).toBeDefined();
      if (service.build)
        expect(service, name).toMatchObject({
          read_only: true,
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
        });
    }
  });

  it('has every variable in .env.example, with the same default', () => {
    const shown = new Map(example.map(({ name, value }) => [name, value]));
    for (const [name, value] of interpolated()) {
      expect(shown.has(name), name).toBe(true);
      // What only a container sees is shown as one sees it.
      if (value && !['ASTROFLOW_WEIGHTS', 'ASTROFLOW_LOG_FORMAT'].includes(name))
        expect(shown.get(name), name).toBe(value);
    }
  });

  it('names services by the ports that they listen at', () => {
    const shown = Object.fromEntries(example.map(({ name, value }) => [name, value]));
    const inside = (name: string) => serviceOf(all, name).ports?.[0]?.split(':').at(-1);
    const port = (name: string) => new URL(shown[name] ?? '').port;
    expect(shown.AWS_ENDPOINT_URL_S3).toBe(`http://s3:${inside('s3')}`);
    expect(shown.ASTROFLOW_ENGINE_URL).toBe(`http://engine:${inside('engine')}`);
    expect(port('ASTROFLOW_SAMPLER_URL')).toBe(inside('vllm'));
    expect(shown.TEMPORAL_ADDRESS).toBe(`temporal:${inside('temporal')}`);
  });

  it('serves the model of the shipped vLLM configurations, with LoRA of their rank', () => {
    const { policy } = JSON.parse(readFileSync('configs/gsm8k-vllm-tinker.json', 'utf8')) as {
      policy: { base: string; trainer: { loraRank: number } };
    };
    const { command = [] } = serviceOf(all, 'vllm');
    expect(command[0]).toBe(policy.base);
    expect(Number(command[command.indexOf('--max-lora-rank') + 1])).toBe(policy.trainer.loraRank);
  });
});

describe('the profile observability', () => {
  const yaml = (file: string) => parse(readFileSync(file, 'utf8'));
  const targetOf = (service: string, source: string) =>
    serviceOf(all, service)
      .volumes?.find((volume) => volume.startsWith(`${source}:`))
      ?.split(':')[1];

  it('has Prometheus ask services where they show their metrics', () => {
    const { rule_files, scrape_configs } = yaml('deploy/prometheus/prometheus.yml') as {
      rule_files: string[];
      scrape_configs: {
        static_configs?: { targets: string[] }[];
        dns_sd_configs?: { names: string[]; port: number }[];
      }[];
    };
    const targets = scrape_configs.flatMap(({ static_configs = [], dns_sd_configs = [] }) => [
      ...static_configs.flatMap(({ targets }) => targets),
      ...dns_sd_configs.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    ]);
    const portOf = (service: string, variable: string) =>
      serviceOf(all, service).environment?.[variable]?.split(':')[1];
    const collector = yaml('deploy/otel/collector.yaml').service.telemetry.metrics.readers[0].pull.exporter.prometheus;
    expect(targets.sort()).toEqual([
      `otel-collector:${collector.port}`,
      `temporal:${portOf('temporal', 'PROMETHEUS_ENDPOINT')}`,
      `worker:${portOf('worker', 'ASTROFLOW_METRICS_ADDRESS')}`,
    ]);
    for (const file of rule_files) expect(existsSync(join('deploy/prometheus', file)), file).toBe(true);
    expect(serviceOf(all, 'prometheus').command).toContain(
      `--config.file=${targetOf('prometheus', './deploy/prometheus')}/prometheus.yml`,
    );
  });

  it('has Grafana find Prometheus and the dashboards', () => {
    const { datasources } = yaml('deploy/grafana/provisioning/datasources/prometheus.yml');
    const inside = serviceOf(all, 'prometheus').ports?.[0]?.split(':').at(-1);
    expect(datasources[0].url).toBe(`http://prometheus:${inside}`);
    const { providers } = yaml('deploy/grafana/provisioning/dashboards/astroflow.yml');
    expect(providers[0].options.path).toBe(targetOf('grafana', './deploy/grafana/dashboards'));
  });

  it('has the collector listen where .env.example sends traces', () => {
    const { receivers } = yaml('deploy/otel/collector.yaml');
    const shown = example.find(({ name }) => name === 'OTEL_EXPORTER_OTLP_ENDPOINT')?.value;
    expect(shown).toBe(`http://otel-collector:${receivers.otlp.protocols.http.endpoint.split(':')[1]}`);
    expect(serviceOf(all, 'otel-collector').command).toEqual([
      `--config=${targetOf('otel-collector', './deploy/otel')}/collector.yaml`,
    ]);
  });
});

describe('variables in docker-compose.yml', () => {
  it('are taken as Compose takes them', () => {
    const given = { A: 'a', EMPTY: '' };
    expect(interpolate('${A}-${A:-b}-${B:-b}-${EMPTY:-c}-${EMPTY}-$$A', given)).toBe('a-a-b-c--$A');
    expect(() => interpolate('${B}', given)).toThrow('B is not set');
    expect(() => interpolate('${EMPTY:?is empty}', given)).toThrow('EMPTY is empty');
  });

  it.each(['$A', '${a}', '${A-b}', '${A:+b}', 'cost: 5$'])('are not written as %s', (text) => {
    expect(() => interpolate(text, { A: 'a' })).toThrow('a "$"');
  });
});
