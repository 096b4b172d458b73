import { describe, expect, it } from 'vitest';
import { type ColourName, lookOf, themes, themeVariables } from '../../src/report/figures/colours.ts';

/** WCAG 2.2: relative luminance, and the contrast ratio of two colours. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a: string, b: string): number {
  const [bright = 0, dim = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (bright + 0.05) / (dim + 0.05);
}

const quiet: readonly ColourName[] = ['line', 'paper', 'panel'];
const marks = (Object.keys(themes) as ColourName[]).filter((name) => !quiet.includes(name));

describe.each(['light', 'dark'] as const)('the colours of the %s theme', (theme) => {
  it.each(marks)('%s can be read on paper and on a panel', (name) => {
    for (const ground of ['paper', 'panel'] as const) {
      expect(contrast(themes[name][theme], themes[ground][theme])).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('are variables of the page', () => {
    expect(themeVariables(theme)).toContain(`--search: ${themes.search[theme]};`);
  });
});

describe('the look of a checkpoint', () => {
  it('has the colour of its arm, and its stage differs by symbol and dash', () => {
    const names = ['base', 'search-sft', 'search-rl', 'direct-sft', 'direct-rl'];
    const looks = names.map(lookOf);
    expect(new Set(looks.map((look) => JSON.stringify(look))).size).toBe(names.length);
    expect(lookOf('search-sft').colour).toBe(lookOf('search-rl').colour);
    expect(lookOf('search-sft').symbol).not.toBe(lookOf('search-rl').symbol);
    expect(lookOf('searching').colour).toBe(lookOf('another').colour);
  });
});
