/** What a model wrote in answer to one request. `length`: its token limit cut it off. */
export interface WrittenText {
  text: string;
  stopReason: 'stop' | 'length';
}

/** The self-evaluation of one correct solution (Sec. 2.3). The three counts add up to the N votes asked for. */
export interface VoteCount {
  good: number;
  bad: number;
  /** Without a readable verdict, cut off or missing: these count as not good. */
  unread: number;
}

export type AcceptRule = 'unanimous' | 'majority';

const VERDICT = /^verdict:\s*(good|bad)$/i;

/** The verdict in a judge's last line, `VERDICT: good` or `VERDICT: bad`; null when it has none. Markdown is ignored. */
export function readVote(text: string): 'good' | 'bad' | null {
  const whole = text.trimEnd();
  const line = whole.slice(whole.lastIndexOf('\n') + 1);
  const plain = line.replace(/[*_`]/g, '').trim().replace(/\.$/, '');
  const word = VERDICT.exec(plain)?.[1]?.toLowerCase();
  return word === 'good' || word === 'bad' ? word : null;
}

/** The votes of one solution; a judge that gave fewer answers than `wanted` has left the others unread. */
export function countVotes(answers: readonly WrittenText[], wanted: number): VoteCount {
  const votes = answers
    .slice(0, wanted)
    .map(({ text, stopReason }) => (stopReason === 'length' ? null : readVote(text)));
  const good = votes.filter((vote) => vote === 'good').length;
  const bad = votes.filter((vote) => vote === 'bad').length;
  return { good, bad, unread: wanted - good - bad };
}

/** Whether a solution may become the end of a trace. */
export function isApproved({ good, bad, unread }: VoteCount, accept: AcceptRule): boolean {
  const votes = good + bad + unread;
  return votes > 0 && (accept === 'unanimous' ? good === votes : 2 * good > votes);
}
