import { setImmediate } from 'node:timers/promises';
import { artifactNames, type EvaluatePlan } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import { attemptsIn, type TextAttempt } from '../core/attempts.ts';
import type { Problem } from '../core/problem.ts';
import type { AnswerRecord } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import { protocolOf } from '../report/protocol-of.ts';
import type { Evaluation } from '../report/scores.ts';
import type { ArtifactStore } from '../services/store/store.ts';

export type Entry = EvaluatePlan['checkpoints'][number];
export type Benchmark = EvaluatePlan['benchmarks'][number];

/** Where the answers are, and what to do about a file that is not there. */
export interface AnswerReader {
  store: ArtifactStore;
  need(name: string): Promise<ArtifactRef>;
}

/** Answers between two turns of the event loop: reading attempts grades, and heartbeats must not wait for it. */
const answersPerTurn = 200;

/** All answers of an evaluation, benchmark by benchmark, with their attempts read and the protocol they were made by. */
export async function readEvaluations(plan: EvaluatePlan, reader: AnswerReader): Promise<Evaluation[]> {
  const found: Evaluation[] = [];
  for (const benchmark of plan.benchmarks) {
    const problems = await reader.store.getLines<Problem>(benchmark.problems);
    for (const entry of plan.checkpoints) {
      const answers = await readAnswers(plan, entry, benchmark, reader);
      found.push({
        checkpoint: entry.name,
        benchmark: benchmark.name,
        answers,
        attempts: await readAttempts(plan, problems, answers),
        protocol: protocolOf(plan, benchmark, answers),
      });
    }
  }
  return found;
}

export async function readAnswers(
  plan: Pick<EvaluatePlan, 'key' | 'params'>,
  entry: Entry,
  benchmark: Benchmark,
  { store, need }: AnswerReader,
): Promise<AnswerRecord[]> {
  const answers: AnswerRecord[] = [];
  for (let first = 0; first < benchmark.problems.count; first += plan.params.problemsPerChunk) {
    const name = artifactNames.answers(plan.key, entry, benchmark.name, first);
    for (const answer of await store.getLines<AnswerRecord>(await need(name))) answers.push(answer);
  }
  return answers;
}

async function readAttempts(
  plan: Pick<EvaluatePlan, 'task'>,
  problems: readonly Problem[],
  answers: readonly AnswerRecord[],
): Promise<TextAttempt[][]> {
  const task = getTask(plan.task);
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const attempts: TextAttempt[][] = [];
  for (const [i, answer] of answers.entries()) {
    if (i % answersPerTurn === answersPerTurn - 1) await setImmediate();
    const problem = problemOf.get(answer.problemId);
    attempts.push(problem === undefined || answer.error !== undefined ? [] : attemptsIn(task, problem, answer));
  }
  return attempts;
}
