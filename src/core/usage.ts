/** What model calls cost. Every stage result and every stored round carries one; a ledger is a fold over them. */
export interface Usage {
  calls: number;
  promptTokens: number;
  completionTokens: number;
}

export const noUsage: Usage = { calls: 0, promptTokens: 0, completionTokens: 0 };

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    calls: a.calls + b.calls,
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
  };
}
