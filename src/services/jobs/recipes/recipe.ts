import type { RlPlan, SftPlan } from '../../../config/plan.ts';
import type { ChatRow, PromptRow } from '../../../core/chat-rows.ts';
import type { TaskOptions } from '../../../core/task.ts';

/** What a training job is made from: a stage as a whole, on a trainer that knows nothing of Astroflow. */
export type RecipeInput = {
  /** A folder or a hub's name that the trainer loads: the base, or the checkpoint of the stage before. */
  model: string;
  /** The job's own folder, absolute. Files go below it, and so do the trainer's checkpoints. */
  folder: string;
  seed: number;
  /** The task's section of the configuration: what a reward is asked by. */
  task: TaskOptions;
  /** How prompts become text: `chat` by the model's own template, `plain` by joining the messages' texts. */
  template: 'plain' | 'chat';
} & (
  | { stage: 'sft'; params: SftPlan['params']; rows: readonly ChatRow[] }
  | { stage: 'rl'; params: RlPlan['params']; rows: readonly PromptRow[] }
);

/** The command line and the files of a job. */
export interface PreparedJob {
  /** Paths are relative to the job's folder. */
  files: Readonly<Record<string, string | Uint8Array>>;
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /**
   * The program asks Ray for GPUs itself. On a Ray cluster the job must then hold none: its own workers would wait for
   * them for ever.
   */
  asksRayForGpus?: boolean;
}

/** What a job that succeeded has left. */
export interface TrainedModel {
  /** Absolute path of the final model's folder, which `transformers` loads. */
  model: string;
  /** Optimiser steps as the trainer counted them, earlier attempts of the job included. */
  globalStep: number;
  /** The step that this attempt of the job began with, read from its own log; 0 for a fresh start. */
  resumedFrom: number;
  metrics: Readonly<Record<string, number>>;
}

/** How one trainer is run. */
export interface Recipe {
  name: string;
  /**
   * Pure: equal input gives equal files and commands, so that a retry writes the same again. The command resumes from
   * the newest checkpoint in the folder, if there is one.
   */
  prepare(input: RecipeInput): PreparedJob;
  /** How far the trainer says it is, read from the end of its log; for people. */
  progress?(log: string): { done: number; total: number } | null;
  /** @throws ServiceError (fatal) when the folder does not hold what a finished job leaves */
  collect(input: RecipeInput): Promise<TrainedModel>;
}
