import type { FunctionName } from '../expression.ts';

/** Functions by their names in LaTeX and in plain text. */
export const FUNCTIONS: ReadonlyMap<string, FunctionName> = new Map<string, FunctionName>([
  ...(['exp', 'ln', 'log', 'sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'cis'] as const).map((n) => [n, n] as const),
  ...(['arcsin', 'arccos', 'arctan', 'sinh', 'cosh', 'tanh'] as const).map((n) => [n, n] as const),
  ...(['floor', 'ceil', 'gcd', 'lcm', 'max', 'min', 'abs'] as const).map((n) => [n, n] as const),
  ['sqrt', 'root'],
  ['asin', 'arcsin'],
  ['acos', 'arccos'],
  ['atan', 'arctan'],
  ['cosec', 'csc'],
  ['binom', 'binomial'],
  ['binomial', 'binomial'],
  ['comb', 'binomial'],
]);

export const TRIGONOMETRIC: ReadonlySet<string> = new Set(['sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'cis']);

export const INVERSE: ReadonlyMap<string, FunctionName> = new Map<string, FunctionName>([
  ['sin', 'arcsin'],
  ['cos', 'arccos'],
  ['tan', 'arctan'],
]);

export const GREEK_LETTERS: ReadonlySet<string> = new Set(
  (
    'alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau ' +
    'upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar Re Im aleph'
  ).split(' '),
);

/** LaTeX that changes only how something looks. */
export const IGNORED: ReadonlySet<string> = new Set(
  (
    'quad qquad thinspace displaystyle textstyle scriptstyle limits nolimits hfill bf rm it sf tt bfseries ' +
    'mathstrut strut null relax nobreak allowbreak noindent centering large Large normalsize small'
  ).split(' '),
);

/** `\left`, `\bigl` … in front of a delimiter. */
export const SIZES: ReadonlySet<string> = new Set(
  'left right middle big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr bigm Bigm'.split(' '),
);

/** Commands whose one argument stands for itself. */
export const TRANSPARENT: ReadonlySet<string> = new Set(
  'mathbf mathit mathsf mathtt mathcal mathscr mathfrak boldsymbol bm pmb underline boxed fbox underbrace mathstrut'.split(
    ' ',
  ),
);

/** Commands with a text as argument. */
export const TEXTS: ReadonlySet<string> = new Set(
  'text mbox textrm textbf textit textnormal texttt textsf textsc emph hbox textup'.split(' '),
);

/** Accents: the letter with it is another name. */
export const ACCENTS: ReadonlySet<string> = new Set(
  'overline bar vec hat tilde dot ddot widehat widetilde overrightarrow overleftrightarrow overarc wideparen'.split(
    ' ',
  ),
);

/** Signs by command, as operator tokens. */
export const OPERATORS: Readonly<Record<string, string>> = {
  cdot: '*',
  times: '*',
  ast: '*',
  div: '/',
  pm: '±',
  mp: '∓',
  circ: '°',
  degree: '°',
  degrees: '°',
  prime: "'",
  over: 'over',
  choose: 'choose',
};

export const RELATIONS: Readonly<Record<string, string>> = {
  le: '<=',
  leq: '<=',
  leqslant: '<=',
  ge: '>=',
  geq: '>=',
  geqslant: '>=',
  lt: '<',
  gt: '>',
  ne: '!=',
  neq: '!=',
  in: 'in',
  approx: '≈',
  simeq: '≈',
  equiv: '≡',
  pmod: 'mod',
  bmod: 'mod',
};

export const SETS: Readonly<Record<string, string>> = {
  cup: 'union',
  bigcup: 'union',
  cap: 'intersection',
  bigcap: 'intersection',
  setminus: 'minus',
  backslash: 'minus',
  smallsetminus: 'minus',
};

export const DELIMITERS: Readonly<Record<string, string>> = {
  langle: '⟨',
  rangle: '⟩',
  lfloor: '⌊',
  rfloor: '⌋',
  lceil: '⌈',
  rceil: '⌉',
  lbrace: '\\{',
  rbrace: '\\}',
  lbrack: '[',
  rbrack: ']',
  lvert: 'lbar',
  rvert: 'rbar',
  lparen: '(',
  rparen: ')',
};

/** Short English words that are not products of letters. */
export const SHORT_WORDS: ReadonlySet<string> = new Set(
  (
    'no on of or is it in if at an as am by do go he hi me my so to up us we are all and any big but can day due ' +
    'east even east far few for get had has hot how its low man may mon new not now odd off old one our out own per ' +
    'red see set she six sum sun tan ten the top try two use via was way who why yes yet you zero four five nine both ' +
    'none north south west blue pink gold gray grey true false amy ann ben bob cal dan deb eve jan jim joe jon kim ' +
    'lee leo lou max meg mia nan ned pam pat ray rob ron roy sam sue ted tim tom zoe am pm tie win draw heads tails ' +
    'dne only cat dog car bus hen pig cow ham jam tea cup box'
  ).split(' '),
);
