import type { Summary } from '../summary-schema.ts';
import { behaviourFigures } from './behaviour.ts';
import { costFigures } from './cost.ts';
import { curveFigures } from './curves.ts';
import { differencesFigure } from './differences.ts';
import type { Figure } from './figure.ts';
import { funnelFigure } from './funnel.ts';
import { matrixFigures } from './matrix.ts';
import { scoresFigure } from './scores.ts';
import { tokensFigures } from './tokens.ts';

export { type Figure, widths } from './figure.ts';

/** All figures of a summary, in the order of the report; those it has no numbers for are left out. */
export function figuresOf(summary: Summary): Figure[] {
  const differences = differencesFigure(summary);
  return [
    ...(summary.scores.length > 0 ? [scoresFigure(summary)] : []),
    ...(differences === null ? [] : [differences]),
    funnelFigure(summary),
    ...curveFigures(summary),
    ...tokensFigures(summary),
    ...costFigures(summary),
    ...matrixFigures(summary),
    ...behaviourFigures(summary),
  ];
}
