import type { Json, Message, Problem } from './problem.ts';
import type { SftRow, TrainingArm } from './records.ts';
import type { Task } from './task.ts';

/** Training data as other trainers read it: messages and texts in place of token ids. */

/** A problem to sample answers of, and all that its verifier needs. */
export interface PromptRow {
  problemId: string;
  /** A last message of the assistant is the beginning of its answer. */
  prompt: Message[];
  problem: Json;
}

/** One training text of fine-tuning. */
export interface ChatRow extends PromptRow {
  arm: TrainingArm;
  /** What the model is to write behind the prompt. */
  completion: string;
  backtracks: number;
}

export function promptRow(task: Task, problem: Problem): PromptRow {
  return { problemId: problem.id, prompt: task.prompt(problem), problem: problem as unknown as Json };
}

export function chatRow(task: Task, problem: Problem, row: SftRow): ChatRow {
  return { ...promptRow(task, problem), arm: row.arm, completion: row.text, backtracks: row.backtracks };
}

/** A prompt as verl reads it. `ground_truth` is the whole problem, which `astroflow reward` grades by. */
export interface VerlRow {
  data_source: string;
  prompt: Message[];
  ability: string;
  reward_model: { style: 'rule'; ground_truth: string };
  extra_info: { split: 'train'; index: number; problem_id: string };
}

export function verlRow({ prompt, problem, problemId }: PromptRow, task: string, index: number): VerlRow {
  return {
    data_source: task,
    prompt,
    ability: task,
    reward_model: { style: 'rule', ground_truth: JSON.stringify(problem) },
    extra_info: { split: 'train', index, problem_id: problemId },
  };
}

/** Prompt and completion as one conversation: the assistant's beginning and what follows it are one message. */
export function conversation({ prompt, completion }: Pick<ChatRow, 'prompt' | 'completion'>): Message[] {
  const last = prompt.at(-1);
  if (last?.role !== 'assistant') return [...prompt, { role: 'assistant', content: completion }];
  return [...prompt.slice(0, -1), { role: 'assistant', content: last.content + completion }];
}

/** The messages' texts joined: the prompt of a model without a chat template (`policy.template: "plain"`). */
export function plainPrompt(prompt: readonly Message[]): string {
  return prompt.map(({ content }) => content).join('');
}
