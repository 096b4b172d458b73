#!/usr/bin/env node
// Runs the TypeScript sources as they are: there is nothing to build.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

if (!existsSync(fileURLToPath(new URL('../node_modules/tsx', import.meta.url)))) {
  // As a dependency of another project, packages are hoisted out of our own folder.
  await import('tsx/esm/api').catch(() => {
    console.error('astroflow: its packages are not installed yet. Run `npm run setup` in the repository first.');
    process.exit(1);
  });
}
const { register } = await import('tsx/esm/api');
register();
const { main } = await import('../src/cli/main.ts');
const exitCode = await main(process.argv);
// Whatever a library still keeps open must not hold up the shell; what was printed must still arrive.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
