import { variablesOf } from '../expression.ts';
import { compare } from '../numbers/fraction.ts';
import { meanTheSame, setMeant } from '../parse/meanings.ts';
import { compareStatements } from '../parse/statements.ts';
import { foldText } from '../parse/text.ts';
import { unitsAgree } from '../parse/units.ts';
import type { Scalar, Value } from '../values.ts';
import { different, equal, type Options, unknown, type Verdict } from '../verdict.ts';
import { compareCollections } from './collections.ts';
import { compareBased, compareRatios } from './compare-ratio.ts';
import { compareScalars } from './compare-scalar.ts';
import { compareUnions, isSetOfReals } from './real-sets.ts';
import { compareChains, compareWithChain } from './relations.ts';

/** Compares two typed answers. The gold answer decides the form. */
export function compareValues(gold: Value, prediction: Value, options: Options): Verdict {
  const statements = compareStatements(gold, prediction, options, compareValues, compareInOrder);
  if (statements !== null) return statements;
  if (gold.kind === 'choice' || prediction.kind === 'choice') return compareChoice(gold, prediction, options);
  if (gold.kind === 'chain') {
    if (prediction.kind === 'chain') return compareChains(gold, prediction, options, compareValues);
    return compareWithChain(gold, prediction, options, compareValues, 'gold');
  }
  if (prediction.kind === 'chain') return compareWithChain(prediction, gold, options, compareValues, 'prediction');
  if (gold.kind === 'scalar' && prediction.kind === 'scalar') return compareQuantities(gold, prediction, options);
  if (gold.kind === 'text' || prediction.kind === 'text') return compareTexts(gold, prediction, options);
  if (gold.kind === 'builder' || prediction.kind === 'builder') return compareBuilders(gold, prediction, options);
  if (isCollection(gold) || isCollection(prediction)) return compareLists(gold, prediction, options);
  if (gold.kind === 'matrix' || prediction.kind === 'matrix') return compareMatrices(gold, prediction, options);
  if (gold.kind === 'ratio' || prediction.kind === 'ratio') return compareRatios(gold, prediction, options);
  if (gold.kind === 'based' || prediction.kind === 'based') return compareBased(gold, prediction);
  if (gold.kind === 'tuple' && prediction.kind === 'tuple') return compareTuples(gold, prediction, options);
  if (isSetOfReals(gold) && isSetOfReals(prediction)) return compareUnions(gold, prediction, options);
  return different(`${describe(prediction)} in place of ${describe(gold)}`);
}

export function describe(value: Value): string {
  const names: Record<Value['kind'], string> = {
    scalar: 'a number or formula',
    text: 'a text',
    choice: 'a choice',
    list: 'a list',
    set: 'a set',
    tuple: 'a tuple or interval',
    union: 'a union',
    matrix: 'a matrix',
    chain: 'a relation',
    ratio: 'a ratio',
    based: 'a number in another base',
    named: 'a set',
    builder: 'a set given by a condition',
  };
  return names[value.kind];
}

function isCollection(value: Value): value is Value & { kind: 'list' | 'set' } {
  return value.kind === 'list' || value.kind === 'set';
}

/** Conditions are compared as they stand; whether one describes another kind of set is not worked out. */
function compareBuilders(gold: Value, prediction: Value, options: Options): Verdict {
  if (gold.kind !== 'builder' || prediction.kind !== 'builder')
    return unknown('a set given by a condition is not worked out');
  const verdict = compareInOrder(
    [gold.element, gold.condition],
    [prediction.element, prediction.condition],
    options,
    compareValues,
  );
  return verdict.equal === false ? unknown('the conditions are different') : verdict;
}

/** Numbers with their units. Units are dropped; two different ones are two different answers. */
function compareQuantities(gold: Scalar, prediction: Scalar, options: Options): Verdict {
  const units = unitsAgree(gold.unit, prediction.unit);
  const verdict = compareScalars(gold.expression, prediction.expression, options);
  if (verdict.equal === true && units !== true) {
    const message = `the units differ: ${gold.unit?.name} and ${prediction.unit?.name}`;
    return units === false ? different(message) : unknown(message);
  }
  if (verdict.equal === true) return verdict;
  // `5 m` as a length, `100,200` as two numbers: where the other answer can only be meant so.
  const other = otherReading(gold, prediction, options);
  return other?.equal === true ? other : verdict;
}

function otherReading(gold: Scalar, prediction: Scalar, options: Options): Verdict | null {
  const [g, p] = [gold.alternative, prediction.alternative];
  const plain = (value: Scalar): boolean => variablesOf(value.expression).length === 0;
  if (p?.kind === 'scalar' && plain(gold)) return compareQuantities(gold, p, options);
  if (g?.kind === 'scalar' && plain(prediction)) return compareQuantities(g, prediction, options);
  return null;
}

function compareTexts(gold: Value, prediction: Value, options: Options): Verdict {
  if (gold.kind !== 'text' || prediction.kind !== 'text') {
    const [g, p] = [gold, prediction].map((value) => (value.kind === 'text' ? (setMeant(value) ?? value) : value));
    if (g?.kind !== 'text' && p?.kind !== 'text') return compareValues(g as Value, p as Value, options);
    return sameWord(gold, prediction)
      ? equal('the same text')
      : different(`${describe(prediction)} in place of ${describe(gold)}`);
  }
  if (gold.words === prediction.words || (!options.strict && gold.folded === prediction.folded))
    return equal('the same text');
  if (meanTheSame(gold, prediction)) return equal('the same text in other words');
  const [a, b] = [` ${gold.words} `, ` ${prediction.words} `];
  if (a.includes(b) || b.includes(a)) return unknown('one text is part of the other');
  return different('another text');
}

/** `\text{AB}` and AB: a text of letters against a product of the same letters. */
function sameWord(a: Value, b: Value): boolean {
  const word = (value: Value): string | null => {
    if (value.kind === 'text') return value.folded;
    if (value.kind !== 'scalar') return null;
    const { expression } = value;
    if (expression.kind === 'variable')
      return /^\p{L}+$/u.test(expression.name) ? foldText(expression.name).folded : null;
    if (expression.kind !== 'product' || !expression.factors.every(({ kind }) => kind === 'variable')) return null;
    return foldText(expression.factors.map((part) => (part.kind === 'variable' ? part.name : '')).join('')).folded;
  };
  const [first, second] = [word(a), word(b)];
  return first !== null && first === second;
}

function compareChoice(gold: Value, prediction: Value, options: Options): Verdict {
  const [g, p] = [letterOf(gold), letterOf(prediction)];
  if (gold.kind === 'choice' && p !== null) {
    if (g !== p) return different('another choice');
    const rest = prediction.kind === 'choice' ? prediction.rest : null;
    if (gold.rest !== null && rest !== null && compareValues(gold.rest, rest, options).equal !== true) {
      return unknown('the same choice with another value');
    }
    return equal('the same choice');
  }
  if (prediction.kind === 'choice') {
    if (g !== null) return g === p ? equal('the same choice') : different('another choice');
    if (prediction.rest !== null) return compareValues(gold, prediction.rest, options);
  }
  if (gold.kind === 'choice' && gold.rest !== null && prediction.kind !== 'choice')
    return compareValues(gold.rest, prediction, options);
  return different(`${describe(prediction)} in place of ${describe(gold)}`);
}

function letterOf(value: Value): string | null {
  if (value.kind === 'choice') return value.letter;
  if (value.kind === 'text' && /^[a-j]$/.test(value.folded)) return value.folded.toUpperCase();
  if (value.kind !== 'scalar' || value.expression.kind !== 'variable') return null;
  return /^[A-Ja-j]$/.test(value.expression.name) ? value.expression.name.toUpperCase() : null;
}

function compareLists(gold: Value, prediction: Value, options: Options): Verdict {
  if (gold.kind === 'named' || prediction.kind === 'named') {
    const [named, other] = gold.kind === 'named' ? [gold, prediction] : [prediction, gold];
    const empty = named.kind === 'named' && named.name === 'empty' && isCollection(other) && other.items.length === 0;
    return empty ? equal('both are empty') : different('one of the sets is empty');
  }
  if (isCollection(gold) && isCollection(prediction))
    return compareCollections(gold, prediction, options, compareValues);
  if (gold.kind === 'tuple' || prediction.kind === 'tuple') return compareListAndTuple(gold, prediction, options);
  const [collection, other] = isCollection(gold)
    ? [gold, prediction]
    : [prediction as Value & { items: Value[] }, gold];
  const alternatives = collection.kind === 'list' && collection.joined === 'or';
  const exactly = { ...options, strict: true };
  if (
    alternatives &&
    !options.strict &&
    collection.items.every((item) => compareValues(other, item, exactly).equal === true)
  )
    return equal('the same value, written more than once');
  if (other.kind === 'scalar' && other.alternative?.kind === 'list' && collection.kind === 'list') {
    // `100,200`: in order, since only the comma was in doubt.
    return compareInOrder(collection.items, other.alternative.items, options, compareValues);
  }
  if (other.kind === 'union') {
    const intervals = alternatives && collection.items.every(({ kind }) => kind === 'tuple');
    const parts: Value[] = intervals ? collection.items : [{ kind: 'set', items: collection.items }];
    const set: Value = { kind: 'union', parts, removed: [] };
    return gold === other ? compareUnions(gold, set, options) : compareUnions(set, other, options);
  }
  const mixed = other.kind === 'scalar' ? mixedNumber(collection) : null;
  if (mixed !== null && gold === other && !options.strict) return compareValues(gold, mixed, options);
  const [only] = collection.items;
  if (collection.items.length === 1 && only !== undefined && collection.kind === 'set') {
    const verdict = isCollection(gold) ? compareValues(only, prediction, options) : compareValues(gold, only, options);
    return verdict.equal === true ? unknown('one is an element, the other the set of it') : verdict;
  }
  return different(`${describe(prediction)} in place of ${describe(gold)}`);
}

/** `2 and 2/3`: a whole number and a proper fraction; null for other lists. */
function mixedNumber(list: Value & { items: Value[] }): Value | null {
  const [whole, part] = list.items;
  if (list.kind !== 'list' || list.joined !== 'and' || list.items.length !== 2) return null;
  if (whole?.kind !== 'scalar' || part?.kind !== 'scalar' || whole.unit !== null) return null;
  const [a, { expression }] = [whole.expression, part];
  if (a.kind !== 'number' || expression.kind !== 'quotient') return null;
  const { top, bottom } = expression;
  if (top.kind !== 'number' || bottom.kind !== 'number' || compare(top.value, bottom.value) >= 0) return null;
  return { ...part, expression: { kind: 'sum', terms: [a, expression] } };
}

/** Brackets around, or missing from, a plain list in the same order. Of two numbers they may mean an interval. */
function compareListAndTuple(gold: Value, prediction: Value, options: Options): Verdict {
  const form = different(`${describe(prediction)} in place of ${describe(gold)}`);
  if (gold.kind === 'set' || prediction.kind === 'set') return form;
  if (!('items' in gold) || !('items' in prediction)) return form;
  if (gold.kind === 'list' && gold.items.some((item) => item.kind === 'tuple')) return form;
  const verdict = compareInOrder(gold.items, prediction.items, options, compareValues);
  if (verdict.equal !== true) return verdict;
  return gold.items.length > 2 && !options.strict ? verdict : unknown('one has brackets, the other has not');
}

export function compareInOrder(
  gold: readonly Value[],
  prediction: readonly Value[],
  options: Options,
  compare: typeof compareValues,
): Verdict {
  if (gold.length !== prediction.length) return different(`${prediction.length} parts in place of ${gold.length}`);
  let open: Verdict | null = null;
  for (const [index, part] of gold.entries()) {
    const verdict = compare(part, prediction[index] as Value, options);
    if (verdict.equal === false) return different(`part ${index + 1}: ${verdict.reason}`);
    if (verdict.equal === 'unknown') open ??= unknown(`part ${index + 1}: ${verdict.reason}`);
  }
  return open ?? equal('the same parts in the same order');
}

type Tuple = Value & { kind: 'tuple' };

function compareTuples(gold: Tuple, prediction: Tuple, options: Options): Verdict {
  const round = (bracket: string): string => (bracket === '⟨' ? '(' : bracket === '⟩' ? ')' : bracket);
  const same = round(gold.open) === round(prediction.open) && round(gold.close) === round(prediction.close);
  // Two numbers may be an interval, and then a bracket says whether its end belongs to it.
  if (!same && gold.items.length === 2 && gold.items[0]?.kind !== 'tuple') return different('other brackets');
  return compareInOrder(gold.items, prediction.items, options, compareValues);
}

function compareMatrices(gold: Value, prediction: Value, options: Options): Verdict {
  const g = rowsOf(gold);
  const p = rowsOf(prediction);
  if (g === null || p === null) return different(`${describe(prediction)} in place of ${describe(gold)}`);
  const determinant = (value: Value): boolean => value.kind === 'matrix' && value.determinant;
  if (determinant(gold) !== determinant(prediction)) return different('a determinant in place of a matrix');
  if (g.length !== p.length && g.flat().length === p.flat().length && (g.length === 1 || p.length === 1)) {
    const verdict = compareInOrder(g.flat(), p.flat(), options, compareValues);
    return verdict.equal === true ? unknown('the same entries in another shape') : verdict;
  }
  if (g.length !== p.length) return different('a matrix of another shape');
  for (const [index, row] of g.entries()) {
    const verdict = compareInOrder(row, p[index] as Value[], options, compareValues);
    if (verdict.equal !== true) return { ...verdict, reason: `row ${index + 1}: ${verdict.reason}` };
  }
  return equal('the same matrix');
}

/** Rows of a matrix, of a tuple of tuples `[[1, 2], [3, 4]]`, or of a vector written as a tuple. */
function rowsOf(value: Value): Value[][] | null {
  if (value.kind === 'matrix') return value.rows;
  if (value.kind !== 'tuple') return null;
  if (value.items.every((item) => item.kind === 'tuple')) return value.items.map((item) => (item as Tuple).items);
  return value.open === '[' || value.open === '(' || value.open === '⟨' ? [value.items] : null;
}
