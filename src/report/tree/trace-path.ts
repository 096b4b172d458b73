import type { RowPlan } from '../../core/records.ts';

/** A trace as it walks through its tree. */
export interface TracePath {
  /** Nodes that it shows, in order, the root first. */
  nodes: number[];
  /** From the end of a failed attempt back to where the next one branches off; numbered from 1 in order. */
  backtracks: { number: number; from: number; to: number }[];
}

export function tracePath({ events }: Pick<RowPlan, 'events'>): TracePath {
  const nodes = [0];
  const backtracks: TracePath['backtracks'] = [];
  let at = 0;
  for (const [kind, node] of events) {
    if (kind === 'backtrack' || kind === 'restart') {
      backtracks.push({ number: backtracks.length + 1, from: at, to: node });
      at = node;
    } else if (kind === 'step' || kind === 'answer') {
      nodes.push(node);
      at = node;
    }
  }
  return { nodes, backtracks };
}
