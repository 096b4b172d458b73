import type { RunConfig } from './schema.ts';

const passwordInAddress = /\/\/[^/@\s]*@/g;

/**
 * Paths of secrets that somebody typed into a configuration. It is asked before one is sent anywhere: what a workflow
 * is started with stays in its history, whatever its first step says of it.
 */
export function typedInSecrets(document: unknown, path = ''): string[] {
  if (typeof document !== 'object' || document === null) return [];
  return Object.entries(document).flatMap(([field, value]) => {
    const at = path === '' ? field : `${path}.${field}`;
    if (typeof value !== 'string') return typedInSecrets(value, at);
    const isSecret = field === 'apiKey' || /(^|\.)launcher\.token$/.test(at);
    return isSecret || value.search(passwordInAddress) >= 0 ? [at] : [];
  });
}

/**
 * A configuration that may be shown to anybody: keys typed into it are left out, and so are passwords in
 * addresses: version 0.1 took them.
 */
export function withoutSecrets(config: RunConfig): RunConfig {
  return JSON.parse(JSON.stringify(config), (field, value: unknown) => {
    if (typeof value !== 'string') return value;
    if (field === 'apiKey') return '(not shown)';
    return field === 'baseUrl' ? value.replace(passwordInAddress, '//') : value;
  }) as RunConfig;
}
