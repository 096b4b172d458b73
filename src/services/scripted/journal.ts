import type { ServedCall } from '../../core/ledger/types.ts';

interface Request {
  callId: string;
  attempt: number;
  activity?: string;
}

/** What a scripted model served, kept in memory: it lasts as long as its process. */
export function memoryJournal() {
  const served: ServedCall[] = [];
  const under = (callPrefix: string, signal: AbortSignal) => {
    signal.throwIfAborted();
    return served.filter(({ id }) => id.startsWith(callPrefix));
  };
  return {
    add({ callId, attempt, activity = '' }: Request, tokens: Pick<ServedCall, 'promptTokens' | 'completionTokens'>) {
      served.push({ id: callId, activity, attempt, ...tokens, delivered: true });
    },
    async served(callPrefix: string, signal: AbortSignal) {
      const calls = under(callPrefix, signal);
      return { calls: calls.length, tokens: calls.reduce((sum, call) => sum + call.completionTokens, 0) };
    },
    /** Null before anything was served: then it is likely another process that served. */
    async journal(callPrefix: string, signal: AbortSignal): Promise<ServedCall[] | null> {
      const calls = under(callPrefix, signal);
      return served.length === 0 ? null : calls;
    },
  };
}
