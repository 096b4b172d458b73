import { type Html, html } from './escape.ts';
import { movesBlock, movesLegend } from './moves-block.ts';
import type { Transcript, TranscriptGroup } from './report-data.ts';

/** Answers as they were sampled, right and wrong ones of every checkpoint. */
export function transcriptsSection(groups: readonly TranscriptGroup[], write: (text: string) => Html): Html | null {
  if (groups.every(({ examples }) => examples.length === 0)) return null;
  const [first] = groups;
  return html`<section id="transcripts"><h2>What the checkpoints write</h2>
<p>Not picked by hand: of every checkpoint the first right and the first wrong answers to ${first?.benchmark ?? ''}, in the order of its problems, looking at sample 0 of each problem only.</p>
${movesLegend()}
${groups.map((group) => checkpointBlock(group, write))}
</section>
`;
}

function checkpointBlock({ checkpoint, examples, looked }: TranscriptGroup, write: (text: string) => Html): Html {
  // One is open: the first that goes back, where there is one.
  const open = Math.max(
    0,
    examples.findIndex(({ moves }) => backtracksOf(moves) > 0),
  );
  const number = (right: boolean) => examples.filter((example) => example.right === right).length;
  return html`<h3>${checkpoint}</h3>
<p class="note">The first ${number(true)} right and ${number(false)} wrong of ${looked} problems looked at.</p>
${examples.map((example, i) => transcript(example, i === open, write))}
`;
}

function transcript(example: Transcript, open: boolean, write: (text: string) => Html): Html {
  const { problem, problemId, moves, right, truncated, reason, tokens } = example;
  const backtracks = backtracksOf(moves);
  const outcome = right ? 'right' : truncated ? 'cut off' : 'wrong';
  return html`<details class="transcript ${right ? 'right' : 'wrong'}"${open ? html` open` : null}><summary><span class="outcome ${right ? 'right' : 'wrong'}">${right ? '✓' : '✗'} ${outcome}</span> <span class="brief">${briefly(problem)}</span> <small>${tokens} tokens, goes back ${backtracks} ${backtracks === 1 ? 'time' : 'times'}</small></summary>
<p class="problem"><b>Problem ${problemId}</b> ${write(problem)}</p>
${movesBlock(moves, write)}
<p class="note">The checker: ${reason}</p></details>
`;
}

const backtracksOf = (moves: Transcript['moves']) => moves.filter(({ kind }) => kind === 'backtrack').length;

function briefly(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 90 ? `${line.slice(0, 89).trimEnd()}…` : line;
}
