/**
 * The one colour code of all figures, after Okabe and Ito's palette, which the common kinds of colour blindness tell
 * apart; darker on light paper and brighter on dark, so that every mark has a contrast of 3 : 1 and texts of 4.5 : 1.
 * Colour never stands alone: series also differ in symbol and dash, verdicts in ✓ and ✗, moves in a mark of their own.
 */
export const themes = {
  search: { light: '#0072b2', dark: '#56b4e9' },
  direct: { light: '#b34a00', dark: '#f0a030' },
  base: { light: '#5c5f66', dark: '#a8adb7' },
  other: { light: '#8a3f78', dark: '#e09bc6' },
  right: { light: '#00704f', dark: '#36c99a' },
  wrong: { light: '#a8327d', dark: '#ec8cc4' },
  reflect: { light: '#7a5b00', dark: '#e6c229' },
  backtrack: { light: '#8a3f00', dark: '#ff9d5c' },
  value: { light: '#00704f', dark: '#36c99a' },
  ink: { light: '#1b1f24', dark: '#e7e9ec' },
  quiet: { light: '#5a6068', dark: '#a5acb6' },
  line: { light: '#d4d8dd', dark: '#3a414b' },
  paper: { light: '#ffffff', dark: '#14171b' },
  panel: { light: '#f5f6f8', dark: '#1d2127' },
} as const;

export type ColourName = keyof typeof themes;

/** A colour as figures write it: the page's variable, with the light theme's value where a figure stands alone. */
export const colour = (name: ColourName): string => `var(--${name}, ${themes[name].light})`;

/** CSS declarations of one theme's variables. */
export function themeVariables(theme: 'light' | 'dark'): string {
  return Object.entries(themes)
    .map(([name, values]) => `--${name}: ${values[theme]};`)
    .join(' ');
}

/** How a checkpoint or an arm looks in every figure. */
export interface Look {
  colour: string;
  symbol: 'circle' | 'square' | 'triangle' | 'diamond';
  /** SVG's `stroke-dasharray`; null: a solid line. */
  dash: string | null;
}

/** By name: the arm gives the colour, the stage the symbol and the dash. Names of other schemes share one look. */
export function lookOf(checkpoint: string): Look {
  const arm = /^(search|direct)\b/.exec(checkpoint)?.[1] as 'search' | 'direct' | undefined;
  if (checkpoint === 'base') return { colour: colour('base'), symbol: 'diamond', dash: '1 3' };
  if (arm === undefined) return { colour: colour('other'), symbol: 'triangle', dash: null };
  const isEarly = checkpoint.endsWith('-sft');
  return { colour: colour(arm), symbol: isEarly ? 'square' : 'circle', dash: isEarly ? '5 3' : null };
}
