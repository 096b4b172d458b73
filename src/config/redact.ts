import type { RunConfig } from './schema.ts';

/** A configuration that may be shown to anybody: keys typed into it are left out, and so are passwords in addresses. */
export function withoutSecrets(config: RunConfig): RunConfig {
  return JSON.parse(JSON.stringify(config), (field, value: unknown) => {
    if (typeof value !== 'string') return value;
    if (field === 'apiKey') return '(not shown)';
    return field === 'baseUrl' ? value.replace(/\/\/[^/@\s]*@/g, '//') : value;
  }) as RunConfig;
}
