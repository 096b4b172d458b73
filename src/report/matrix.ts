import { isRight } from '../core/behaviour.ts';
import type { Evaluation } from './scores.ts';
import { type Matrix, mostMatrixProblems } from './summary-schema.ts';

/** Right answers of each problem, by checkpoint, in the order in which problems and checkpoints come. */
export function matrixOf(evaluations: readonly Evaluation[], list: string): Matrix[] {
  return [...new Set(evaluations.map(({ benchmark }) => benchmark))].map((benchmark) => {
    const its = evaluations.filter((evaluation) => evaluation.benchmark === benchmark);
    const checkpoints = its.map(({ checkpoint }) => checkpoint);
    const problems = new Map<string, Matrix['problems'][number]>();
    for (const [column, { answers }] of its.entries()) {
      for (const answer of answers) {
        const none = () => checkpoints.map(() => 0);
        const row = problems.get(answer.problemId) ?? { id: answer.problemId, right: none(), samples: none() };
        problems.set(answer.problemId, row);
        row.samples[column] = (row.samples[column] ?? 0) + 1;
        if (isRight(answer)) row.right[column] = (row.right[column] ?? 0) + 1;
      }
    }
    return { benchmark, checkpoints, problems: [...problems.values()], omitted: 0, list };
  });
}

/** The matrix with no more problems than a summary should hold: the first ones of the benchmark. */
export function shortMatrix(matrix: Matrix): Matrix {
  const omitted = Math.max(0, matrix.problems.length - mostMatrixProblems);
  return { ...matrix, problems: matrix.problems.slice(0, mostMatrixProblems), omitted };
}
