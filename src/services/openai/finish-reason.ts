import type { StopReason } from '../sampler/sampler.ts';

const atEndOfText = new Set(['eos', 'eos_token', 'end_turn', 'end_of_text']);
const atStop = new Set([...atEndOfText, 'stop', 'stop_sequence', 'stop_string']);
const atLength = new Set(['length', 'max_tokens', 'max_new_tokens']);

/**
 * Why a text ended, by what servers call it; where one says nothing, `full` tells whether the limit was reached. Null
 * for everything else: an aborted text is not a sample.
 */
export function stopReasonOf(said: string | null | undefined, full: () => boolean): StopReason | null {
  if (said === null || said === undefined || said === '') return full() ? 'length' : 'stop';
  if (atStop.has(said)) return 'stop';
  return atLength.has(said) ? 'length' : null;
}

/** Whether a server says that no stop string but the model itself ended the text. */
export function saysEndOfText(said: string | null | undefined): boolean {
  return atEndOfText.has(said ?? '');
}
