import { UndefinedError } from '../limits.ts';
import { exactValue } from '../numbers/exact.ts';
import { reduce } from '../numbers/fraction.ts';
import { assignedValues, isConstant, withNames, withoutNumbers } from '../parse/names.ts';
import type { Value } from '../values.ts';
import { different, equal, type Options, unknown, type Verdict } from '../verdict.ts';

type Collection = Value & { kind: 'list' | 'set' };
type Compare = (gold: Value, prediction: Value, options: Options) => Verdict;

/** Sets and lists without their order. In a set an element counts once, in two lists as often as it stands there. */
export function compareCollections(
  gold: Collection,
  prediction: Collection,
  options: Options,
  compare: Compare,
): Verdict {
  const named = [gold, prediction].map(({ items }) => items.some(({ kind }) => kind === 'chain'));
  // x = 3, x = -2 is not x = 3, y = -2: the names are left out only where the other answer has none.
  const without = named[0] === named[1] ? withNames : assignedValues;
  const [g, p] = [without(gold.items), without(withoutNumbers(prediction.items, gold.items))];
  const conditions = [gold, prediction].some(({ items }) => !assignedValues(items).every(isConstant));
  if (conditions && gold.kind === 'list' && prediction.kind === 'list') {
    if (gold.joined !== null && prediction.joined !== null && gold.joined !== prediction.joined) {
      return different('"and" in place of "or"');
    }
  }
  const distinct = gold.kind === 'set' || prediction.kind === 'set';
  const verdict = matchUnordered(g, p, distinct, options, compare);
  // x = 1, y = 2 for the numbers 2 and 1: which of them belongs to which name is lost.
  if (verdict.equal !== true || ![...g, ...p].some(({ kind }) => kind === 'chain') || named[0] === named[1])
    return verdict;
  const alternatives =
    gold.kind === 'list' && prediction.kind === 'list' && 'or' === (named[0] ? gold : prediction).joined;
  const inOrder =
    !options.strict &&
    !alternatives &&
    g.length === p.length &&
    g.every((item, index) => compare(item, p[index] as Value, options).equal === true);
  return inOrder ? verdict : unknown('only one of them names its values');
}

export function matchUnordered(
  gold: readonly Value[],
  prediction: readonly Value[],
  distinct: boolean,
  options: Options,
  compare: Compare,
): Verdict {
  const keys = [exactKeys(gold, options), exactKeys(prediction, options)];
  if (keys[0] !== null && keys[1] !== null && keys[0] !== undefined && keys[1] !== undefined) {
    const [a, b] = keys.map((list) => (distinct ? [...new Set(list)] : (list ?? [])).sort());
    const same = a?.length === b?.length && a?.every((key, index) => key === b?.[index]);
    return same ? equal('the same elements') : different('other elements');
  }
  if (!distinct && gold.length !== prediction.length)
    return different(`${prediction.length} elements in place of ${gold.length}`);
  const used = new Set<number>();
  let open: Verdict | null = null;
  for (const element of gold) {
    const found = find(element, prediction, distinct ? new Set() : used, (a, b) => compare(a, b, options));
    if (found.index === null && !found.unknown) return different('an element is missing');
    if (found.index === null) open ??= unknown('an element could not be compared');
    else used.add(found.index);
  }
  if (open !== null) return open;
  if (!distinct) return equal('the same elements');
  for (const element of prediction) {
    const found = find(element, gold, new Set(), (a, b) => compare(b, a, options));
    if (found.index === null)
      return found.unknown ? unknown('an element could not be compared') : different('an element too many');
  }
  return equal('the same elements');
}

function find(
  element: Value,
  candidates: readonly Value[],
  used: ReadonlySet<number>,
  compare: (element: Value, candidate: Value) => Verdict,
): { index: number | null; unknown: boolean } {
  let open = false;
  for (const [index, candidate] of candidates.entries()) {
    if (used.has(index)) continue;
    const verdict = compare(element, candidate);
    if (verdict.equal === true) return { index, unknown: false };
    open ||= verdict.equal === 'unknown';
  }
  return { index: null, unknown: open };
}

/** One text for each exact number without a unit; null when an element is anything else. Long lists stay fast. */
function exactKeys(items: readonly Value[], options: Options): string[] | null {
  const keys: string[] = [];
  for (const item of items) {
    if (item.kind !== 'scalar' || item.unit !== null || item.alternative !== null) return null;
    if (item.expression.kind === 'number' && item.expression.written !== undefined) return null;
    try {
      const value = exactValue(item.expression, options.budget);
      const [re, im] = value === null ? [null, null] : [reduce(value.re), reduce(value.im)];
      if (re === null || im === null) return null;
      keys.push(`${re.n}/${re.d},${im.n}/${im.d}`);
    } catch (error) {
      if (error instanceof UndefinedError) return null;
      throw error;
    }
  }
  return keys;
}
