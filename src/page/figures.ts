import type { StoredStageResult } from '../activities/results.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import { storedScores } from '../export/stored-scores.ts';
import { curveFigures } from '../report/figures/curves.ts';
import { funnelFigure } from '../report/figures/funnel.ts';
import { type Figure, figuresOf } from '../report/figures/index.ts';
import { scoresFigure } from '../report/figures/scores.ts';
import { type Html, html } from '../report/html/escape.ts';
import { figureBlock } from '../report/html/figure-block.ts';
import { parseSummary, type Summary } from '../report/summary-schema.ts';
import { verdict } from '../report/verdict.ts';
import { readIfThere } from '../runs/plans.ts';
import { answersSoFar, rlCurve } from '../runs/stages.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/**
 * A run's figures as part of a page, drawn anew only where there is more to draw: this process may be the one whose
 * workers do the run.
 */
export function createFigures(store: ArtifactStore): (plan: Plan) => Promise<Html> {
  const drawn = new Map<string, { mark: string; part: Html }>();
  return async (plan) => {
    const known = await whatIsKnown(store, plan);
    const mark = JSON.stringify([plan.config.sha256, known.mark]);
    const before = drawn.get(plan.run);
    if (before?.mark === mark) return before.part;
    const part = await known.draw();
    drawn.set(plan.run, { mark, part });
    return part;
  };
}

interface Known {
  /** Changes whenever the figures would. */
  mark: unknown;
  draw(): Promise<Html>;
}

/** All figures of a finished run, as in its report; of one that is under way those that its artifacts have numbers for. */
async function whatIsKnown(store: ArtifactStore, plan: Plan): Promise<Known> {
  const ref = await store.find(artifactNames.run(plan.run, 'summary.json'));
  if (ref !== null) {
    return {
      mark: ref.sha256,
      async draw() {
        const summary = parseSummary(await store.getJson(ref));
        return figuresPart(verdict(summary), figuresOf(summary));
      },
    };
  }
  const rl: Summary['rl'] = {};
  for (const arm of plan.arms) {
    const curve = await rlCurve(store, plan.rl[arm]);
    if (curve.length > 0) rl[arm] = curve;
  }
  const linearized = await readIfThere<StoredStageResult>(store, artifactNames.result('linearize', plan.linearize.key));
  const funnel = linearized?.funnel;
  const { done } = await answersSoFar(store, plan.evaluate);
  const lengths = Object.values(rl).map((curve) => curve.length);
  return {
    mark: [done, lengths, funnel !== undefined],
    async draw() {
      const scores = done === 0 ? null : await scoresSoFar(store, plan);
      return figuresPart(scores?.note ?? null, [
        ...(scores?.figure ? [scores.figure] : []),
        ...curveFigures({ rl }),
        ...(funnel === undefined ? [] : [funnelFigure({ funnel })]),
      ]);
    },
  };
}

/** Intervals of a page that is redrawn: a tenth of the report's resamples, or a redrawing would take seconds. */
const resamples = 200;

/** Of the checkpoints that have answered a whole benchmark. */
async function scoresSoFar(store: ArtifactStore, plan: Plan): Promise<{ figure: Figure | null; note: string | null }> {
  const { evaluate } = plan;
  const params = { ...evaluate.params, bootstrapSamples: Math.min(resamples, evaluate.params.bootstrapSamples) };
  const { scores, missing } = await storedScores(store, { ...plan, evaluate: { ...evaluate, params } });
  if (scores.length === 0) return { figure: null, note: null };
  const covers =
    plan.search.policy.trainer === null ? 'problems and samples' : 'problems and samples, one training seed';
  return {
    figure: scoresFigure({ scores, covers }),
    note: missing.length === 0 ? null : `Not answered as a whole yet: ${missing.join(', ')}.`,
  };
}

function figuresPart(said: string | null, figures: readonly Figure[]): Html {
  if (figures.length === 0)
    return html`<p class="note">Nothing to draw yet: the funnel comes with the training rows, curves with the first iteration of reinforcement learning.</p>`;
  return html`${said !== null && html`<p class="claim">${said}</p>`}<div class="figures">${figures.map(figureBlock)}</div>`;
}
