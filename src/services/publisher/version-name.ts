import { sha256Hex } from '../../core/key.ts';

/** Folders that say nothing of what lies in them. */
const generic = new Set(['weights', 'sampler_weights', 'model', 'checkpoints', '']);

/**
 * What weights are called where they have no name of their own: readable, safe as a file's name and as a model's, and
 * one for each place that weights lie at, so that publishing them again finds what was done before.
 */
export function versionName(weights: string): string {
  const parts = weights.replace(/^\w+:\/\//, '').split(/[\\/]+/);
  const telling = parts.filter((part) => !generic.has(part)).at(-1) ?? '';
  const readable = telling
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .slice(-40)
    .replace(/^[^A-Za-z0-9]+/, '');
  return `${readable || 'weights'}-${sha256Hex(weights).slice(0, 12)}`;
}
