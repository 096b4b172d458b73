import type { StoredStageResult } from '../activities/results.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import { curveFigures } from '../report/figures/curves.ts';
import { funnelFigure } from '../report/figures/funnel.ts';
import { type Figure, figuresOf } from '../report/figures/index.ts';
import { type Html, html } from '../report/html/escape.ts';
import { figureBlock } from '../report/html/figure-block.ts';
import { parseSummary, type Summary } from '../report/summary-schema.ts';
import { verdict } from '../report/verdict.ts';
import { readIfThere } from '../runs/plans.ts';
import { rlCurve } from '../runs/stages.ts';
import type { ArtifactStore } from '../services/store/store.ts';

export interface RunFigures {
  /** What came out, once it is known. */
  said: string | null;
  figures: Figure[];
}

/** All figures of a finished run, as in its report; of one that is under way those that its artifacts have numbers for. */
export async function readFigures(store: ArtifactStore, plan: Plan): Promise<RunFigures> {
  const stored = await readIfThere<unknown>(store, artifactNames.run(plan.run, 'summary.json'));
  if (stored !== null) {
    const summary = parseSummary(stored);
    return { said: verdict(summary), figures: figuresOf(summary) };
  }
  const rl: Summary['rl'] = {};
  for (const arm of plan.arms) {
    const curve = await rlCurve(store, plan.rl[arm]);
    if (curve.length > 0) rl[arm] = curve;
  }
  const linearized = await readIfThere<StoredStageResult>(store, artifactNames.result('linearize', plan.linearize.key));
  const funnel = linearized?.funnel;
  return {
    said: null,
    figures: [...curveFigures({ rl }), ...(funnel === undefined ? [] : [funnelFigure({ funnel })])],
  };
}

export function figureFragment({ said, figures }: RunFigures): Html {
  if (figures.length === 0)
    return html`<p class="note">Nothing to draw yet: curves begin with the first iteration of reinforcement learning.</p>`;
  return html`${said !== null && html`<p class="claim">${said}</p>`}<div class="figures">${figures.map(figureBlock)}</div>`;
}
