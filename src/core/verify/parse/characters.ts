/** Unicode signs of mathematics, as the LaTeX that the tokeniser reads. */
const SIGNS: Readonly<Record<string, string>> = {
  '−': '-',
  '–': '-',
  '—': '-',
  '‒': '-',
  '‐': '-',
  '‑': '-',
  '×': '\\times ',
  '·': '\\cdot ',
  '∙': '\\cdot ',
  '⋅': '\\cdot ',
  '•': '\\cdot ',
  '∗': '*',
  '÷': '\\div ',
  '∕': '/',
  '⁄': '/',
  '±': '\\pm ',
  '∓': '\\mp ',
  '√': '\\surd ',
  '∛': '\\cuberoot ',
  '∞': '\\infty ',
  '≤': '\\le ',
  '⩽': '\\le ',
  '≦': '\\le ',
  '≥': '\\ge ',
  '⩾': '\\ge ',
  '≧': '\\ge ',
  '≠': '\\ne ',
  '≈': '\\approx ',
  '≡': '\\equiv ',
  '∪': '\\cup ',
  '∩': '\\cap ',
  '∖': '\\setminus ',
  '∈': '\\in ',
  '∅': '\\emptyset ',
  ø: '\\emptyset ',
  Ø: '\\emptyset ',
  ℝ: '\\mathbb{R}',
  ℤ: '\\mathbb{Z}',
  ℕ: '\\mathbb{N}',
  ℚ: '\\mathbb{Q}',
  ℂ: '\\mathbb{C}',
  '°': '^\\circ ',
  º: '^\\circ ',
  '′': "'",
  '’': "'",
  '‘': "'",
  '“': '"',
  '”': '"',
  '⟨': '\\langle ',
  '⟩': '\\rangle ',
  '⌊': '\\lfloor ',
  '⌋': '\\rfloor ',
  '⌈': '\\lceil ',
  '⌉': '\\rceil ',
  '∠': '\\angle ',
  '△': '\\triangle ',
  '→': '\\to ',
  '…': '\\ldots ',
  '∣': '\\mid ',
  '。': '.',
  '、': ',',
  '½': '\\frac{1}{2}',
  '⅓': '\\frac{1}{3}',
  '⅔': '\\frac{2}{3}',
  '¼': '\\frac{1}{4}',
  '¾': '\\frac{3}{4}',
  '⅕': '\\frac{1}{5}',
  '⅖': '\\frac{2}{5}',
  '⅗': '\\frac{3}{5}',
  '⅘': '\\frac{4}{5}',
  '⅙': '\\frac{1}{6}',
  '⅚': '\\frac{5}{6}',
  '⅐': '\\frac{1}{7}',
  '⅛': '\\frac{1}{8}',
  '⅜': '\\frac{3}{8}',
  '⅝': '\\frac{5}{8}',
  '⅞': '\\frac{7}{8}',
  '⅑': '\\frac{1}{9}',
  '⅒': '\\frac{1}{10}',
  '€': '\\euro ',
  '£': '\\pounds ',
  '¢': '\\text{ cents}',
  '\u200b': '',
  '\u2060': '',
  '\ufeff': '',
};

const GREEK: Readonly<Record<string, string>> = {
  ...{ α: 'alpha', β: 'beta', γ: 'gamma', δ: 'delta', ε: 'epsilon', ϵ: 'epsilon', ζ: 'zeta', η: 'eta', θ: 'theta' },
  ...{ ι: 'iota', κ: 'kappa', λ: 'lambda', μ: 'mu', ν: 'nu', ξ: 'xi', π: 'pi', ρ: 'rho', σ: 'sigma', τ: 'tau' },
  ...{ υ: 'upsilon', φ: 'phi', ϕ: 'phi', χ: 'chi', ψ: 'psi', ω: 'omega', Γ: 'Gamma', Δ: 'Delta', Θ: 'Theta' },
  ...{ Λ: 'Lambda', Ξ: 'Xi', Π: 'Pi', Σ: 'Sigma', Φ: 'Phi', Ψ: 'Psi', Ω: 'Omega', '∆': 'Delta', '\u2126': 'Omega' },
};

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ';
const RAISED_PLAIN = '0123456789+-=()ni';
const LOWERED = '₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙᵢ';
const LOWERED_PLAIN = '0123456789+-=()ni';

/** Plain LaTeX for a text that may use Unicode: `2√3 ≤ x²` → `2\surd 3 \le  x^{2}`. Letters of words stay. */
export function toAscii(text: string): string {
  if (isAscii(text)) return text;
  let result = '';
  let run: '' | '^' | '_' = '';
  for (const character of text) {
    const raised = RAISED.indexOf(character);
    const lowered = raised < 0 ? LOWERED.indexOf(character) : -1;
    const next = raised >= 0 ? '^' : lowered >= 0 ? '_' : '';
    if (next !== run) {
      if (run !== '') result += '}';
      if (next !== '') result += `${next}{`;
      run = next;
    }
    if (raised >= 0) result += RAISED_PLAIN[raised];
    else if (lowered >= 0) result += LOWERED_PLAIN[lowered];
    else result += plain(character);
  }
  return run === '' ? result : `${result}}`;
}

function plain(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 128) return character;
  const sign = SIGNS[character];
  if (sign !== undefined) return sign;
  const greek = GREEK[character];
  if (greek !== undefined) return `\\${greek} `;
  // Full-width forms of ASCII, and every kind of space.
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
  return /\s/.test(character) ? ' ' : character;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

/** Position of the brace that closes the one at `from`, or null; an escaped brace is none. */
export function closingBrace(text: string, from: number): number | null {
  let open = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '{') open += 1;
    else if (text[at] === '}') {
      open -= 1;
      if (open === 0) return at;
    }
  }
  return null;
}
