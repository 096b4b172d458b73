import type { TracePhrases } from '../task.ts';

/** The fixed phrases of ASTRO Sec. 2.4: the same reflection comes before either verdict, so the verdict must be judged. */
const REFLECTION = 'But wait, are we solving the problem correctly so far? Hmm...';
const POSITIVE = 'Our solution seems to be correct so far.';
const NEGATIVE = "I'm not sure if we're solving the problem correctly so far.";

const BACK = "Let's go back to where we";
const RESTART = "Let's restart our solution from the beginning";

/** All that `extractAnswer` takes for a box; the backslash may be doubled. */
const BOX_COMMAND = /(?:(?<!\\)\\)?\\(?:boxed|fbox)(?![A-Za-z])[ \n]*/g;
const MAX_QUOTE = 120;

/**
 * Phrases for tasks whose steps are English paragraphs and whose answers stand in `\boxed{}`. The paper's model writes
 * the sentence that says where to go back to; this template quotes the first line of the step returned to.
 */
export const astroPhrases: TracePhrases = {
  withoutAnswer: (step) => `${withoutBoxes(step).trimEnd()}\n\n`,
  backtrack: (_problem, steps) => goBack(`${BACK} wrote "${quote(steps.at(-1) ?? '')}".`),
  restart: () => goBack(`${RESTART}.`),
  reflectPositive: (_problem, steps) => `${blankLineAfter(steps.at(-1) ?? '')}${REFLECTION}\n${POSITIVE}\n\n`,
  reflectAnswer: () => `\n\n${REFLECTION}\n${POSITIVE}`,
  backtrackMarker: NEGATIVE,
  narration: {
    reflection: REFLECTION,
    positive: POSITIVE,
    negative: NEGATIVE,
    backtrackOpening: BACK,
    restartOpening: RESTART,
    answerOpenings: ['\\boxed', '\\fbox'],
    goBack,
  },
};

/** What sets a step off from the paragraph after it. */
function blankLineAfter(step: string): string {
  if (step === '' || step.endsWith('\n\n')) return '';
  return step.endsWith('\n') ? '\n' : '\n\n';
}

function goBack(sentence: string): string {
  return `${REFLECTION}\n${NEGATIVE} ${sentence}\n\n`;
}

/**
 * The sentence stays, its number too, but only the last answer of a trace is boxed. Braces that never close and commands
 * without braces go as well.
 */
function withoutBoxes(text: string): string {
  let unboxed = text;
  // From the last one on, so that the places of the others stay what they are.
  for (const { index, 0: command } of [...text.matchAll(BOX_COMMAND)].reverse()) {
    const from = index + command.length;
    const braced = unboxed[from] === '{';
    const end = braced ? closingBrace(unboxed, from) : from;
    const content = braced ? unboxed.slice(from + 1, end) : '';
    unboxed = unboxed.slice(0, index) + content + unboxed.slice(braced ? end + 1 : end);
  }
  return unboxed;
}

/** The brace that closes the one at `open`, or the end of the text. */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '{') depth += 1;
    else if (text[i] === '}') depth -= 1;
    if (depth === 0) return i;
  }
  return text.length;
}

function quote(step: string): string {
  const line = step.trim().split('\n', 1)[0] ?? '';
  const plain = line.replace(/^[#\s]+/, '').trimEnd();
  return plain.length > MAX_QUOTE ? `${plain.slice(0, MAX_QUOTE).trimEnd()}…` : plain;
}
