/** Numbers as people read them, the same in the terminal and in the report. */

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** A difference of two shares in percentage points, always with its sign. */
export function points(difference: number): string {
  const rounded = (Math.abs(difference) * 100).toFixed(1);
  if (rounded === '0.0') return rounded;
  return `${difference < 0 ? '−' : '+'}${rounded}`;
}

export const percentInterval = (low: number, high: number): string =>
  `[${(low * 100).toFixed(1)}, ${(high * 100).toFixed(1)}]`;

export const pointsInterval = (low: number, high: number): string => `[${points(low)}, ${points(high)}]`;

export const pValue = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));

export const fixed = (value: number | null, digits = 1): string =>
  value === null ? 'n/a' : value.toFixed(digits).replace('-', '−');

/** 1234567 as `1,234,567`. */
export const integer = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

export function seconds(value: number): string {
  if (value < 90) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
