import type { Value } from '../values.ts';
import { different, equal, type Options, unknown, type Verdict } from '../verdict.ts';
import { describe } from './compare.ts';
import { compareScalars } from './compare-scalar.ts';

/** `3:4` against `6:8`; against its value it is undecided. */
export function compareRatios(gold: Value, prediction: Value, options: Options): Verdict {
  if (gold.kind !== 'ratio' || prediction.kind !== 'ratio') return compareRatioAndNumber(gold, prediction, options);
  const [g, p] = [gold.parts, prediction.parts];
  if (g.length !== p.length) return different('a ratio of another length');
  const [g0, p0] = [g[0], p[0]];
  if (g0 === undefined || p0 === undefined) return unknown('an empty ratio');
  let identical = compareScalars(g0, p0, options).equal === true;
  for (const [index, part] of g.entries()) {
    const other = p[index] ?? p0;
    identical &&= compareScalars(part, other, options).equal === true;
    const cross = compareScalars(
      { kind: 'product', factors: [part, p0] },
      { kind: 'product', factors: [other, g0] },
      {
        ...options,
        strict: false,
      },
    );
    if (cross.equal !== true) return { ...cross, reason: cross.equal === false ? 'another ratio' : cross.reason };
  }
  if (identical || !(gold.clock && prediction.clock)) return equal('the same ratio');
  return unknown('they may be two times of day');
}

function compareRatioAndNumber(gold: Value, prediction: Value, options: Options): Verdict {
  const [ratio, other] = gold.kind === 'ratio' ? [gold, prediction] : [prediction, gold];
  if (ratio.kind === 'ratio' && other.kind === 'scalar' && ratio.parts.length === 2) {
    const [top, bottom] = ratio.parts;
    if (top !== undefined && bottom !== undefined) {
      const verdict = compareScalars({ kind: 'quotient', top, bottom }, other.expression, {
        ...options,
        strict: false,
      });
      if (verdict.equal !== false) return unknown('one is a ratio, the other its value');
    }
  }
  return different(`${describe(prediction)} in place of ${describe(gold)}`);
}

/** Numbers in a base: the same number in the same base. */
export function compareBased(gold: Value, prediction: Value): Verdict {
  if (gold.kind === 'based' && prediction.kind === 'based') {
    if (gold.base === prediction.base)
      return gold.value === prediction.value ? equal('the same number') : different('another number');
    return gold.value === prediction.value ? unknown('the same number in another base') : different('another number');
  }
  const [based, other] = gold.kind === 'based' ? [gold, prediction] : [prediction, gold];
  if (based.kind !== 'based' || other.kind !== 'scalar')
    return different(`${describe(prediction)} in place of ${describe(gold)}`);
  const { expression } = other;
  const digits = expression.kind === 'number' && expression.value.d === 1n ? `${expression.value.n}` : null;
  if (digits === based.digits) return unknown('only one of them names its base');
  if (digits !== null && BigInt(digits) === based.value) return unknown('one of them is in another base');
  return different('another number');
}
