import { wasteByReason } from '../accounts/waste.ts';
import { evaluateCallPrefix, roleCallPrefix, searchCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type LinearizePlan, type Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import { emptyFunnel, type RlIteration, type StageUsage } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import { readEvaluations } from '../inspect/evaluations.ts';
import { problemSetsOf } from '../inspect/problem-sets.ts';
import { writeReportPage } from '../inspect/report-page.ts';
import { renderReport } from '../report/markdown.ts';
import { matrixOf } from '../report/matrix.ts';
import { defaultTokenCaps, type Evaluation } from '../report/scores.ts';
import { buildSummary } from '../report/summary.ts';
import type { Summary } from '../report/summary-schema.ts';
import type { Services } from '../services/index.ts';
import type { Sampler } from '../services/sampler/sampler.ts';
import { versions } from '../versions.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { requireArtifact } from './load.ts';
import type { UpdateResult } from './reinforce.ts';
import type { StoredStageResult } from './results.ts';

export interface PipelineResult {
  run: string;
  /** Names in the artifact store. */
  summary: string;
  report: string;
  /** `report.html`; absent in results of before there was one. */
  page?: string;
  scores: { checkpoint: string; benchmark: string; passAt1: number; low: number; high: number }[];
  wallSeconds: number;
}

interface Outcome {
  name: string;
  arm?: string;
  reused: boolean;
}

/** A finished stage of the plan: where its result is and which calls were made for it. */
interface PlannedStage {
  name: string;
  arm?: Arm;
  resultName: string;
  madeBy: string;
  /** What the stage's call ids start with, and who was called; none where it makes no calls. */
  calls: Calls[];
}

interface Calls {
  prefix: string;
  model: Pick<Sampler, 'served'>;
}

export function createSummaryActivity(deps: ActivityDeps) {
  const { store } = deps;
  return {
    /** Folds everything the run's stages stored into `summary.json`, `report.md` and `report.html`. */
    writeSummary: (input: { plan: Plan; outcomes: Outcome[] }): Promise<PipelineResult> =>
      attempt(async (at) => {
        const { plan } = input;
        const services = deps.services(plan.search.policy);
        const stages: StageUsage[] = [];
        at.report({ phase: 'accounts' });
        const wastedBy = await wasteByReason(plan, { store, services, signal: at.signal });
        let funnel: StoredStageResult['funnel'];
        const rl: Partial<Record<Arm, RlIteration[]>> = {};
        for (const stage of plannedStages(plan, services)) {
          const result = await store.getJson<StoredStageResult>(
            await requireArtifact(store, stage.resultName, stage.madeBy),
          );
          const outcome = input.outcomes.find((o) => o.name === stage.name && o.arm === stage.arm);
          stages.push({
            ...(await stageUsage(stage, result, outcome?.reused ?? false, at.signal)),
            wastedBy: wastedBy(stage.name, stage.arm),
          });
          funnel ??= result.funnel;
          if (stage.name === 'rl' && stage.arm !== undefined) {
            rl[stage.arm] = await iterations(plan.rl[stage.arm].key, result.iterations ?? 0);
          }
        }
        at.report({ phase: 'statistics' });
        const { params } = plan.evaluate;
        const need = (name: string) => requireArtifact(store, name, 'evaluate');
        const evaluations = await readEvaluations(plan.evaluate, { store, need });
        const matrixList = await storeMatrix(plan, evaluations);
        const summary = buildSummary({
          run: plan.run,
          seed: plan.seed,
          evaluations,
          matrixList,
          problemSets: await problemSetsOf(plan, store),
          phrases: getTask(plan.search.task).phrases,
          bootstrapSamples: params.bootstrapSamples,
          tokenCaps: defaultTokenCaps(params.maxTokens),
          ...(plan.dropped && { dropped: plan.dropped }),
          ...(plan.overlap && { overlap: plan.overlap }),
          funnel: funnel ?? emptyFunnel,
          stages,
          rl,
          versions: await versions(),
          artifacts: artifactFolders(plan),
        });
        const names = {
          summary: artifactNames.run(plan.run, 'summary.json'),
          report: artifactNames.run(plan.run, 'report.md'),
        };
        await store.replaceText(names.summary, `${JSON.stringify(summary, null, 2)}\n`);
        await store.replaceText(names.report, renderReport(summary));
        at.report({ phase: 'report' });
        const page = await writeReportPage(store, plan, summary);
        return { run: plan.run, ...names, page, scores: shortScores(summary), wallSeconds: summary.wallSeconds };
      }),
  };

  async function iterations(key: string, count: number): Promise<RlIteration[]> {
    const found: RlIteration[] = [];
    for (let iteration = 0; iteration < count; iteration++) {
      const ref = await requireArtifact(store, artifactNames.update(key, iteration), 'reinforce');
      found.push((await store.getJson<UpdateResult>(ref)).summary);
    }
    return found;
  }

  /** Every problem with its right answers by checkpoint, one a line: a summary holds only the first ones. */
  async function storeMatrix(plan: Plan, evaluations: readonly Evaluation[]): Promise<string> {
    const name = artifactNames.matrix(plan.run);
    const lines = matrixOf(evaluations, name).flatMap(({ benchmark, checkpoints, problems }) =>
      problems.map(({ id, right, samples }) => {
        const byCheckpoint = checkpoints.map((checkpoint, i) => [checkpoint, [right[i] ?? 0, samples[i] ?? 0]]);
        return { schema: 'astroflow.matrix/1', benchmark, problem: id, rightOf: Object.fromEntries(byCheckpoint) };
      }),
    );
    await store.replaceText(name, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return name;
  }
}

function plannedStages(plan: Plan, services: Services): PlannedStage[] {
  const model = services.sampler;
  return [
    {
      name: 'search',
      resultName: artifactNames.searchResult(plan.search),
      madeBy: 'searchCorpus',
      calls: [{ prefix: searchCallPrefix(plan.search), model }],
    },
    {
      name: 'linearize',
      resultName: artifactNames.result('linearize', plan.linearize.key),
      madeBy: 'linearizeCorpus',
      calls: roleCalls(plan.linearize, services),
    },
    ...plan.arms.flatMap((arm): PlannedStage[] => {
      const sft = {
        name: 'sft',
        arm,
        resultName: artifactNames.result('sft', plan.sft[arm].key),
        madeBy: 'fineTune',
        calls: [],
      };
      if (plan.rl[arm].params.iterations === 0) return [sft];
      const rl = {
        name: 'rl',
        arm,
        resultName: artifactNames.result('rl', plan.rl[arm].key),
        madeBy: 'reinforce',
        calls: [{ prefix: `rl/${plan.rl[arm].key}/`, model }],
      };
      return [sft, rl];
    }),
    {
      name: 'evaluate',
      resultName: artifactNames.evaluationResult(plan.evaluate),
      madeBy: 'evaluate',
      calls: plan.evaluate.checkpoints.map((entry) => ({ prefix: evaluateCallPrefix(plan.evaluate, entry), model })),
    },
  ];
}

/** Judge and narrator may be other models than the policy, on other servers: each is asked for its own calls. */
function roleCalls(plan: LinearizePlan, { textModel }: Services): Calls[] {
  const { judge, narrator } = plan.roles ?? { judge: null, narrator: null };
  const calls: Calls[] = [];
  if (judge !== null) calls.push({ prefix: roleCallPrefix(plan, 'judge'), model: textModel(judge.model) });
  if (narrator !== null) calls.push({ prefix: roleCallPrefix(plan, 'narrate'), model: textModel(narrator.model) });
  return calls;
}

/** Wasted: what the service served for the stage's calls and no stored result credits. */
async function stageUsage(
  stage: PlannedStage,
  result: StoredStageResult,
  reused: boolean,
  signal: AbortSignal,
): Promise<Omit<StageUsage, 'wastedBy'>> {
  const { usage, startedAtMs, endedAtMs } = result;
  const credited = usage.completionTokens;
  const served = await Promise.all(stage.calls.map(({ prefix, model }) => model.served(prefix, signal)));
  const servedTokens = served.reduce<number | null>(
    (sum, one) => (sum === null || one === null ? null : sum + one.tokens),
    0,
  );
  return {
    name: stage.name,
    ...(stage.arm && { arm: stage.arm }),
    // Times are the server's, whose clock somebody may set back during a run.
    seconds: Math.max(0, endedAtMs - startedAtMs) / 1000,
    calls: usage.calls,
    tokens: credited,
    wastedTokens: servedTokens === null ? null : Math.max(0, servedTokens - credited),
    reused,
    startedAtMs,
    endedAtMs,
  };
}

function artifactFolders(plan: Plan): Record<string, string> {
  const arms = plan.arms.flatMap((arm) => [
    [`sft-${arm}`, `sft/${plan.sft[arm].key}`],
    [`rl-${arm}`, `rl/${plan.rl[arm].key}`],
  ]);
  return {
    config: plan.config.uri,
    search: `search/${plan.search.key}`,
    linearize: `linearize/${plan.linearize.key}`,
    ...Object.fromEntries(arms),
    evaluate: `evaluate/${plan.evaluate.key}`,
  };
}

function shortScores(summary: Summary): PipelineResult['scores'] {
  return summary.scores.map(({ checkpoint, benchmark, passAt1 }) => ({
    checkpoint,
    benchmark,
    passAt1: passAt1.value,
    low: passAt1.low,
    high: passAt1.high,
  }));
}
