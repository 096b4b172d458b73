import { readFileSync } from 'node:fs';
import type { Random } from '../../src/core/seed.ts';
import { readPrompt } from '../../src/core/tasks/math-text.ts';
import { scriptedWriting } from '../../src/services/text-model/scripted.ts';

interface Row {
  question: string;
  answer: string;
}

/** How often a line of the solution goes wrong: a problem of three lines is solved by about half of the attempts. */
const SLIP = 0.2;

/**
 * What an instruct model could answer to the first `count` problems of a GSM8K file: the data set's own solution in
 * `## Step` form, with slips that carry through to the answer. Knows the steps that a prompt already holds, so it can
 * be sampled step by step; an unknown problem gets an answer without a box. Prompts of judge and narrator are answered
 * as the scripted roles do.
 */
export function gsm8kWriter(file: string, count: number): (prompt: string, random: Random) => string {
  const lines = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').split('\n', count);
  const rows = lines.map((line) => JSON.parse(line) as Row);
  const solutions = new Map(rows.map(({ question, answer }) => [question.trim(), solutionOf(answer)]));

  return (prompt, random) => {
    if (/<\/(?:solution|so_far)>/.test(prompt)) return scriptedWriting(prompt, 1, random)[0] ?? '';
    const asked = readPrompt(prompt);
    const solution = asked === null ? undefined : solutions.get(asked.problem.trim());
    if (asked === null || solution === undefined) return 'I do not know this problem.';
    const written = asked.after.match(/^## Step \d+:/gm)?.length ?? 0;
    let off = asked.after.includes('about') ? 1 + random.int(5) : 0;
    const steps = solution.steps.slice(written).map((line, i) => {
      if (off === 0 && random.next() < SLIP) off = 1 + random.int(5);
      return `## Step ${written + i + 1}: Work on it\n${off === 0 ? line : `${line} That is about ${off} more.`}`;
    });
    const header = `## Step ${Math.max(written, solution.steps.length) + 1}: Answer`;
    const last = `${header}\nThe answer is \\boxed{${solution.answer + off}}.`;
    const text = [...steps, last].join('\n\n');
    return written === 0 || asked.after.endsWith('\n') ? text : `\n\n${text}`;
  };
}

function solutionOf(answer: string): { steps: string[]; answer: number } {
  const [work = '', final = ''] = answer.split('\n#### ');
  return {
    steps: work.replace(/<<[^>]*>>/g, '').split('\n'),
    answer: Number(final.replaceAll(',', '')),
  };
}
