/** One line of a service's journal: a call that was served, whoever got the answer. */
export interface ServedCall {
  /** The call's id, or one below it where a call became several requests (`<id>/more-1`). */
  id: string;
  /** `<workflow run>/<activity>` that asked; empty where it did not say. */
  activity: string;
  /** Of that activity, from 1. */
  attempt: number;
  promptTokens: number;
  completionTokens: number;
  /** Whether the client still waited when the answer was ready. */
  delivered: boolean;
}
