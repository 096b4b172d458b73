import type { Unit } from '../values.ts';
import { FUNCTIONS } from './vocabulary.ts';

/** Units of measure by their names; each group is one unit. Converting between units is not attempted. */
const GROUPS: readonly string[] = [
  'mm millimeter millimeters millimetre millimetres',
  'cm centimeter centimeters centimetre centimetres cms',
  'dm decimeter decimeters decimetre decimetres',
  'm meter meters metre metres',
  'km kilometer kilometers kilometre kilometres kms',
  'in inch inches',
  'ft foot feet',
  'yd yard yards yds',
  'mi mile miles',
  'mg milligram milligrams',
  'g gram grams gm gms',
  'kg kilogram kilograms kgs',
  'oz ounce ounces',
  'lb lbs pound pounds',
  'ton tons',
  'ml milliliter milliliters millilitre millilitres',
  'l liter liters litre litres',
  'gal gallon gallons',
  'qt quart quarts',
  'pt pint pints',
  'cup cups',
  'ms millisecond milliseconds',
  's sec secs second seconds',
  'min mins minute minutes',
  'h hr hrs hour hours',
  'day days',
  'week weeks wk wks',
  'month months',
  'yr yrs year years',
  'dollar dollars usd buck bucks',
  'cent cents',
  'euro euros eur',
  'poundsterling gbp',
  'rupee rupees',
  'degree degrees deg degs',
  'radian radians rad rads',
  'degc celsius',
  'degf fahrenheit',
  'percent percents pct',
  'unit units',
  'newton newtons',
  'joule joules',
  'watt watts',
  'hz hertz',
  'mph',
  'kph kmph',
  'rpm',
];

const NAMES: ReadonlyMap<string, string> = new Map(
  GROUPS.flatMap((group) => {
    const names = group.split(' ');
    return names.map((name) => [name, names[0] as string] as const);
  }),
);

/** Words that say more than a unit: an answer with them is not a plain quantity. */
const NOT_UNITS = new Set(
  (
    'or and not if more less least most than about approximately when where for then is are was be but only between ' +
    'from to with without except until unless plus minus times over mod modulo some any all every either neither both ' +
    'no none never the answer equals equal other another remainder so ' +
    'hundred thousand million billion trillion dozen half halves third quarter twice double triple score gross pair ' +
    'couple squared cubed factorial root roots log logs inverse reciprocal negative base binary hex octal ' +
    'hexadecimal decimal fewer below above under off short imaginary infinite infinitely recurring repeating repeated ' +
    'odd even first last th rd st nd k m b bn mil thou percentage percentile power exponent mean average sum product ' +
    'one ones two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ' +
    'ninety lakh crore radical surd pi divided multiplied raised choose sine cosine tangent ' +
    'grand myriad difference exclusive inclusive onwards up down remainder quotient conjugate transpose bar'
  ).split(' '),
);

/** Words that change the value: fractions (tenths), ordinals, multiples, and words of logic. */
function isModifier(word: string): boolean {
  // Four roots are counted; 4 root 3 is a formula.
  if (word === 'roots') return false;
  return NOT_UNITS.has(word) || NOT_UNITS.has(word.replace(/s$/, '')) || FUNCTIONS.has(word) || ORDINAL.test(word);
}

const ORDINAL =
  /(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|teen|tie|hundred|thousand|illion)ths?$|(?:thirds|quarters|fold|illions?)$/;

/** True for a word that is a unit on its own, so that it may stand right after a number: `12cm`, `5 min`. */
export function isUnitWord(word: string): boolean {
  return NAMES.has(word.toLowerCase()) && word.length > 1;
}

/** `kilograms times square meters per second cubed` has 46. */
const LONGEST_UNIT = 400;

/**
 * The unit that a text names: `square inches` → `in^2`, `km per hour` → `km/h`, `apples` → `apple`; null for what is
 * not one. A unit alone in its dimension (`units`) counts as none given.
 */
export function parseUnit(text: string): Unit | null {
  if (text.length > LONGEST_UNIT) return null;
  const named = text
    .replace(/\bN\b/g, 'newton')
    .replace(/\bJ\b/g, 'joule')
    .replace(/\bW\b/g, 'watt')
    .replace(/\bL\b/g, 'l');
  // 2M is no length.
  if (/\b[A-Z]\b/.test(named)) return null;
  const words = named
    .toLowerCase()
    .replace(/\\[,;:! ]|~/g, ' ')
    .replace(/\bper\b|\bp\./g, ' / ')
    .replace(/[\^{}$]+/g, '^')
    .replace(/[/*]/g, (sign) => ` ${sign} `)
    .replace(/[.,]+(?=\s|\^|$)/g, ' ')
    .replace(/\s+\^/g, '^')
    .replace(
      /(?:\*\s*)?(\p{L}+)\^-([1-3])\^?/gu,
      (_, name: string, power: string) => ` / ${name}${power === '1' ? '' : `^${power}`}`,
    )
    .split(/\s+/)
    .filter((word) => word !== '' && word !== '^' && word !== '*');
  if (words.length === 0 || words.length > 8) return null;
  const names: string[] = [];
  let known = true;
  let power = '';
  for (const [index, word] of words.entries()) {
    if (word === 'the' && words[index - 1] === 'of' && index < words.length - 1) continue;
    if (word === 'of' || word === 'a' || word === 'an' || word === 'in') {
      if (word !== 'in' || names.length > 0) continue;
    }
    const raised = (word === 'squared' || word === 'cubed') && names.length > 0;
    // Ordered pairs are counted; three pairs are six.
    const ordered = words[index - 1] === 'ordered' && /^(?:pair|triple|quadruple)s?$/.test(word);
    if (!raised && !ordered && !NAMES.has(word) && isModifier(word)) return null;
    if (word === '/') names.push('/');
    else if (word === 'square' || word === 'sq') power = '^2';
    else if (word === 'cubic' || word === 'cu') power = '^3';
    else if (word === 'squared') names.push(`${names.pop() ?? ''}^2`);
    else if (word === 'cubed') names.push(`${names.pop() ?? ''}^3`);
    else {
      const [, name = '', exponent = ''] = /^([\p{L}'-]+)\^?([23])?\^?$/u.exec(word) ?? [];
      if (name === '') return null;
      const unit = NAMES.get(name);
      if (unit === undefined && name.length < 2) return null;
      known &&= unit !== undefined;
      names.push(`${unit ?? singular(name)}${exponent === '' ? power : `^${exponent}`}`);
      power = '';
    }
  }
  if (names.length === 0) return null;
  const name = names.join(' ').replace(/ \/ /g, '/').replace('mi/h', 'mph').replace('km/h', 'kph');
  return { name: name.replace(/^unit(\^[23])?$/, 'unit'), known };
}

function singular(word: string): string {
  return word.length > 3
    ? word
        .replace(/ies$/, 'y')
        .replace(/(s|x|ch|sh)es$/, '$1')
        .replace(/([^s])s$/, '$1')
    : word;
}

/** Two units can both be meant by the same problem only if they are the same. */
export function unitsAgree(a: Unit | null, b: Unit | null): boolean | 'unknown' {
  if (a === null || b === null || a.name === b.name || a.name === 'unit' || b.name === 'unit') return true;
  return a.known && b.known ? false : 'unknown';
}
