import { artifactNames } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import type { Problem } from '../core/problem.ts';
import { limiter } from '../services/limit.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { createLoader } from './load.ts';

/**
 * A problem set lies in the store as one object, and a large one also in parts of so many problems: workers read parts,
 * so that their memory does not grow with the set.
 */
const partSize = 1_000;

/** Parts that a process remembers: one for each parent that it may work for, and some. Oldest leaves first. */
const partsKept = 128;

const putsAtOnce = 16;

/** Stores the parts of a set; sets of one part have none. */
export async function storeParts(store: ArtifactStore, set: ArtifactRef, problems: readonly Problem[]): Promise<void> {
  if (problems.length <= partSize) return;
  const limited = limiter(putsAtOnce);
  const firsts = Array.from({ length: Math.ceil(problems.length / partSize) }, (_, part) => part * partSize);
  await Promise.all(
    firsts.map((first) =>
      limited(() => store.putLines(artifactNames.problemsPart(set, first), problems.slice(first, first + partSize))),
    ),
  );
}

/** Reads stretches of problem sets, and remembers what it read. */
export function createProblemReader(store: ArtifactStore) {
  const lines = createLoader(store, partsKept);
  const parts = new Map<string, Promise<ArtifactRef>>();

  /** Problems `first` to `first + count` of a set, as far as there are. */
  return async function problemsOf(set: ArtifactRef, first: number, count: number): Promise<Problem[]> {
    const found: Problem[] = [];
    const end = Math.min(set.count, first + count);
    while (first + found.length < end) {
      const position = first + found.length;
      const partFirst = set.count <= partSize ? 0 : position - (position % partSize);
      const ref = await partAt(set, partFirst);
      const rows = await lines<Problem>(ref);
      // Runs that began before there were parts have the whole set only.
      const from = ref.sha256 === set.sha256 ? position : position - partFirst;
      const taken = from < 0 ? [] : rows.slice(from, from + end - position);
      if (taken.length === 0) break;
      found.push(...taken);
    }
    return found;
  };

  async function partAt(set: ArtifactRef, first: number): Promise<ArtifactRef> {
    if (set.count <= partSize) return set;
    const name = artifactNames.problemsPart(set, first);
    const known = parts.get(name) ?? store.find(name).then((ref) => ref ?? set);
    parts.set(name, known);
    try {
      return await known;
    } catch (error) {
      parts.delete(name);
      throw error;
    }
  }
}
