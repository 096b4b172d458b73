import { artifactNames, type Plan } from '../config/plan.ts';
import { isRight } from '../core/behaviour.ts';
import { readMoves } from '../core/moves.ts';
import type { Problem } from '../core/problem.ts';
import type { AnswerRecord } from '../core/records.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import type { Transcript, TranscriptGroup } from '../report/html/report-data.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** Right answers, and wrong ones, of each checkpoint. */
const EACH = 2;

/** Stored chunks of answers that are searched for them: a checkpoint that is never right is not read to its end. */
const MOST_CHUNKS = 4;

/**
 * The first right and the first wrong answers of each checkpoint to the first benchmark, in the order of its problems,
 * sample 0 only: a rule that cannot be bent towards a nice example.
 */
export async function readTranscripts(store: ArtifactStore, plan: Plan): Promise<TranscriptGroup[]> {
  const [benchmark] = plan.evaluate.benchmarks;
  if (benchmark === undefined) return [];
  const task = getTask(plan.evaluate.task);
  const problems = new Map((await store.getLines<Problem>(benchmark.problems)).map((problem) => [problem.id, problem]));
  const groups: TranscriptGroup[] = [];
  for (const entry of plan.evaluate.checkpoints) {
    const picked: { answer: AnswerRecord; problem: Problem }[] = [];
    let looked = 0;
    const wants = (right: boolean) => picked.filter(({ answer }) => isRight(answer) === right).length < EACH;
    const { problemsPerChunk } = plan.evaluate.params;
    for (let chunk = 0; chunk < MOST_CHUNKS && (wants(true) || wants(false)); chunk++) {
      const name = artifactNames.answers(plan.evaluate.key, entry, benchmark.name, chunk * problemsPerChunk);
      const ref = await store.find(name);
      if (ref === null) break;
      for (const answer of await store.getLines<AnswerRecord>(ref)) {
        const problem = problems.get(answer.problemId);
        if (
          answer.sample !== 0 ||
          answer.error !== undefined ||
          problem === undefined ||
          !(wants(true) || wants(false))
        )
          continue;
        looked += 1;
        if (wants(isRight(answer))) picked.push({ answer, problem });
      }
    }
    const examples = picked.map(({ answer, problem }) => transcript(answer, problem, task));
    groups.push({ checkpoint: entry.name, benchmark: benchmark.name, looked, examples });
  }
  return groups;
}

function transcript(answer: AnswerRecord, problem: Problem, task: Task): Transcript {
  return {
    problemId: answer.problemId,
    problem: task.statement(problem),
    moves: readMoves(answer.text, task, problem, answer.verdict.answer),
    right: isRight(answer),
    truncated: answer.stopReason === 'length',
    reason: answer.verdict.reason,
    tokens: answer.tokens,
  };
}
