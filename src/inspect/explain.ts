import { artifactNames } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import { attemptsIn, type TextAttempt } from '../core/attempts.ts';
import { isRight } from '../core/behaviour.ts';
import type { ServedCall } from '../core/ledger/types.ts';
import { callOf } from '../core/ledger/units.ts';
import type { AnswerRecord } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import type { EvalItem } from './eval-item.ts';
import { type Ancestor, armOf, lineageOf } from './lineage.ts';
import { type Kinship, kinshipOf, type RelatedGroup, type RelatedRow, relatedGroups, relatedRows } from './related.ts';
import { answersReader, NotInRun, type StoredRun } from './stored-run.ts';
import { type TracedTree, tracedTree } from './traced-tree.ts';

/** What one call cost by the journal of who served it; null where there is none. */
export interface CallCost {
  call: string;
  /** Times it was served, each with its tokens: more than once after a retry or a kill. */
  servings: number | null;
  promptTokens: number | null;
  completionTokens: number | null;
}

/** From one evaluated answer back to what the model was trained on. */
export interface Explanation {
  schema: 'astroflow.explanation/1';
  run: string;
  benchmark: string;
  checkpoint: string;
  problem: { id: string; row: number; statement: string };
  answer: Omit<AnswerRecord, 'schema'> & { right: boolean; attempts: TextAttempt[] };
  /** The same problem: right answers of each checkpoint. */
  others: { checkpoint: string; right: number; of: number }[];
  lineage: Ancestor[];
  /** What counts as alike, closest first, and how many training problems are. */
  kinds: Kinship['kinds'];
  /** The closest ones; the counts are of all there are. */
  groups: RelatedGroup[];
  groupsFound: number;
  rows: RelatedRow[];
  rowsFound: number;
  trees: TracedTree[];
  calls: CallCost[];
}

export interface ExplainOptions {
  /** Most groups, rows and trees that are given. */
  limit: number;
  /** Characters of an answer or a row's text that are given. */
  textLength: number;
  /** What was served under a prefix of call ids, if anybody keeps a journal. */
  served(callPrefix: string): Promise<readonly ServedCall[] | null>;
}

/** @throws NotInRun where the answer is not stored yet */
export async function explain(run: StoredRun, item: EvalItem, options: ExplainOptions): Promise<Explanation> {
  const { plan, store } = run;
  const { problem, entry } = item;
  const answers = await answersTo(run, item);
  const answer = answers.get(entry.name)?.find(({ sample }) => sample === item.sample);
  if (answer === undefined)
    throw new NotInRun(`${run.name} stored no sample ${item.sample} of ${problem.id} by ${entry.name}.`);
  const arm = armOf(plan, entry);
  const arms: Arm[] = arm === null ? [] : [arm];
  const kinship = await kinshipOf(plan, arms, store, problem);
  const rows = arm === null ? [] : await relatedRows(plan, arm, store, kinship);
  const groups = arm === null || entry.stage !== 'rl' ? [] : await relatedGroups(plan, arm, store, kinship);
  const shownRows = rows.slice(0, options.limit);
  const shownGroups = groups.slice(0, options.limit);
  const trees: TracedTree[] = [];
  for (const row of shownRows) {
    if (trees.some(({ slug }) => slug === row.tree)) continue;
    const traced = await tracedTree(plan.search, store, row);
    if (traced !== null) trees.push(traced);
  }
  const ids = [
    ...(answer.error === undefined ? [answer.callId] : []),
    ...shownGroups.map(({ callId }) => callId),
    ...trees.flatMap(({ calls }) => calls),
  ];
  const task = getTask(plan.evaluate.task);
  const { schema: _schema, ...record } = answer;
  return {
    schema: 'astroflow.explanation/1',
    run: run.name,
    benchmark: item.benchmark.name,
    checkpoint: entry.name,
    problem: { id: problem.id, row: item.row, statement: task.statement(problem) },
    answer: {
      ...record,
      text: cut(answer.text, options.textLength),
      right: isRight(answer),
      attempts: answer.error === undefined ? attemptsIn(task, problem, answer) : [],
    },
    others: [...answers].map(([checkpoint, its]) => ({
      checkpoint,
      right: its.filter(isRight).length,
      of: its.length,
    })),
    lineage: await lineageOf(plan, entry, store),
    kinds: kinship.kinds,
    groups: shownGroups,
    groupsFound: groups.length,
    rows: shownRows.map((row) => ({ ...row, text: cut(row.text, options.textLength) })),
    rowsFound: rows.length,
    trees,
    calls: await costs([...new Set(ids)], options),
  };
}

/** Every checkpoint's answers to the problem, as far as they are stored. */
async function answersTo(run: StoredRun, { benchmark, row, problem }: EvalItem): Promise<Map<string, AnswerRecord[]>> {
  const { evaluate } = run.plan;
  const { problemsPerChunk } = evaluate.params;
  const first = Math.floor(row / problemsPerChunk) * problemsPerChunk;
  const found = new Map<string, AnswerRecord[]>();
  for (const entry of evaluate.checkpoints) {
    const ref = await run.store.find(artifactNames.answers(evaluate.key, entry, benchmark.name, first));
    if (ref === null) continue;
    const answers = await run.store.getLines<AnswerRecord>(ref);
    found.set(
      entry.name,
      answers.filter(({ problemId }) => problemId === problem.id),
    );
  }
  if (found.size === 0) {
    const [entry] = evaluate.checkpoints;
    if (entry) await answersReader(run).need(artifactNames.answers(evaluate.key, entry, benchmark.name, first));
  }
  return found;
}

async function costs(calls: readonly string[], { served }: ExplainOptions): Promise<CallCost[]> {
  const found: CallCost[] = [];
  for (const call of calls) {
    const servings = (await served(call))?.filter(({ id }) => callOf(id) === call) ?? null;
    const sum = (of: (serving: ServedCall) => number) => servings?.reduce((total, one) => total + of(one), 0) ?? null;
    found.push({
      call,
      servings: servings?.length ?? null,
      promptTokens: sum(({ promptTokens }) => promptTokens),
      completionTokens: sum(({ completionTokens }) => completionTokens),
    });
  }
  return found;
}

const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length)}…` : text);
