import { type Expression, rewrite, some } from '../expression.ts';
import { AmbiguousError, ParseError } from '../limits.ts';
import { type Scalar, scalar, type Value } from '../values.ts';

/**
 * Replaces ± by the two values it stands for. All ± and ∓ of one scalar take the same sign together; two or more ±
 * without ∓ may also mean every combination, which is refused.
 * @throws ParseError
 */
export function expandPlusMinus(value: Value): Value {
  switch (value.kind) {
    case 'scalar':
      return hasSign(value.expression) ? { kind: 'list', items: bothSigns(value), joined: null } : value;
    case 'list':
    case 'set':
      return { ...value, items: value.items.flatMap(items) };
    case 'tuple': {
      if (!value.items.some((item) => item.kind === 'scalar' && hasSign(item.expression))) return value;
      const tuples = [0, 1].map((side): Value => ({ ...value, items: value.items.map((item) => pick(item, side)) }));
      return { kind: 'list', items: tuples, joined: null };
    }
    case 'chain': {
      const last = value.parts.at(-1);
      if (last === undefined || !value.parts.some((part) => part.kind === 'scalar' && hasSign(part.expression)))
        return value;
      if (value.parts.length !== 2 || value.relations[0] !== '=' || value.parts[0] === undefined) {
        throw new ParseError('± stands in a chain of relations');
      }
      const [left] = value.parts;
      const chains = items(last).map((part): Value => ({ ...value, parts: [left, part] }));
      return { kind: 'list', items: chains, joined: 'or' };
    }
    default:
      return value;
  }
}

function items(value: Value): Value[] {
  const expanded = expandPlusMinus(value);
  return expanded.kind === 'list' && value.kind !== 'list' ? expanded.items : [expanded];
}

function pick(value: Value, side: number): Value {
  return value.kind === 'scalar' && hasSign(value.expression) ? (bothSigns(value)[side] as Value) : value;
}

function hasSign(expression: Expression): boolean {
  return some(expression, (part) => part.kind === 'plusMinus');
}

function bothSigns(value: Scalar): Scalar[] {
  let plain = 0;
  let flipped = 0;
  some(value.expression, (part) => {
    if (part.kind === 'plusMinus' && part.flip) flipped += 1;
    else if (part.kind === 'plusMinus') plain += 1;
    return false;
  });
  if (plain + flipped > 1 && flipped === 0) throw new AmbiguousError('± occurs more than once');
  return [false, true].map((negative) =>
    scalar(
      rewrite(value.expression, (part) => {
        if (part.kind !== 'plusMinus') return part;
        return part.flip === negative ? part.of : { kind: 'negation', of: part.of };
      }),
      value.unit,
    ),
  );
}
