export interface Extracted {
  answer: string;
  /** `boxed`: the last `\boxed{…}`; `marker`: a last line `#### N`, as GSM8K writes its solutions. */
  from: 'boxed' | 'marker';
}

interface Box {
  start: number;
  /** The content is text[from, to). */
  from: number;
  to: number;
  end: number;
  /** The last paragraph, line or formula began here. */
  line: number;
}

const NEW_LINE = 10;
const DOLLAR = 36;
const OPEN = 123;
const CLOSE = 125;
const BACKSLASH = 92;
/** Of the commands above. */
const LETTER_B = 98;
const LETTER_F = 102;
const COMMANDS = ['boxed', 'fbox'];
/** `\boxed 42` without braces ends within this many characters. */
const MAX_BARE = 200;
/** Boxes of one list stand no further apart. */
const MAX_GAP = 80;

/**
 * The final answer of a text: its last complete box that is not empty, else a last line `#### N`. Nothing is guessed
 * from prose. A box that is not closed is no answer, nor is a box inside it unless a new line or formula began there;
 * of nested boxes the outermost counts. One pass, linear in the text.
 * `joinBoxes` gives several distinct boxes of the final sentence as one list: lenient, for evaluation only.
 */
export function extractAnswer(text: string, options: { joinBoxes?: boolean } = {}): Extracted | null {
  const boxes = completeBoxes(text);
  const last = boxes.at(-1);
  if (last === undefined) return markedAnswer(text);
  const content = (box: Box): string => text.slice(box.from, box.to).trim();
  if (options.joinBoxes !== true) return { answer: content(last), from: 'boxed' };
  const answers = [content(last)];
  for (let index = boxes.length - 2; index >= 0; index--) {
    const [box, next] = [boxes[index] as Box, boxes[index + 1] as Box];
    const gap = text.slice(box.end, Math.min(next.start, box.end + MAX_GAP + 1));
    if (next.start - box.end > MAX_GAP || /[.!?]\s|\n\s*\n/.test(gap)) break;
    if (!answers.includes(content(box))) answers.unshift(content(box));
  }
  return { answer: answers.join(', '), from: 'boxed' };
}

function completeBoxes(text: string): Box[] {
  const boxes: Box[] = [];
  /** Open braces: their box, not yet complete, or null for a brace of something else. */
  const open: (Box | null)[] = [];
  let line = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === NEW_LINE || code === DOLLAR) line = i;
    else if (code === OPEN) open.push(null);
    else if (code === CLOSE) {
      const opener = open.pop();
      if (opener !== undefined && opener !== null) {
        opener.to = i;
        opener.end = i + 1;
        complete(opener);
      }
    } else if (code === BACKSLASH) {
      const command = boxCommand(text, i);
      if (command === null) {
        if (text[i + 1] === '(' || text[i + 1] === '[') line = i;
        i += 1;
      } else if (text.charCodeAt(command) === OPEN) {
        open.push({ start: i, from: command + 1, to: 0, end: 0, line });
        i = command;
      } else {
        const bare = bareAnswer(text, command);
        const to = command + (bare?.length ?? 0);
        if (bare !== null) complete({ start: i, from: command, to, end: to, line });
        i = command - 1;
      }
    }
  }
  const unclosed = open.filter((entry) => entry !== null).map(({ start }) => start);
  if (unclosed.length === 0) return boxes;
  return boxes.filter((box) => {
    const around = lastBelow(unclosed, box.start);
    return around === null || box.line > around;
  });

  function complete(box: Box): void {
    // Boxes inside this one are not answers of their own.
    while (boxes.length > 0 && (boxes[boxes.length - 1] as Box).start > box.start) boxes.length -= 1;
    if (!isBlank(text, box.from, box.to)) boxes.push(box);
  }
}

/** Nothing but spaces, `~` and `$`. Ends at the first other character: nested boxes must not be read again and again. */
function isBlank(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code > DOLLAR && code < BACKSLASH) return false;
    if (code === BACKSLASH && ',;:! '.includes(text[i + 1] ?? '?')) i += 1;
    else if (!' ~$\n\t\r\u00a0'.includes(text[i] as string)) return false;
  }
  return true;
}

/** The largest of some rising positions below a bound. */
function lastBelow(positions: readonly number[], bound: number): number | null {
  let [low, high] = [0, positions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((positions[middle] as number) < bound) low = middle + 1;
    else high = middle;
  }
  return positions[low - 1] ?? null;
}

/** Where the argument of a box command at `at` begins; null when there is none. `\\boxed`, escaped twice, counts. */
function boxCommand(text: string, at: number): number | null {
  const from = text.charCodeAt(at + 1) === BACKSLASH ? at + 2 : at + 1;
  const first = text.charCodeAt(from);
  if (first !== LETTER_B && first !== LETTER_F) return null;
  for (const command of COMMANDS) {
    if (!text.startsWith(command, from)) continue;
    let end = from + command.length;
    if (text.charCodeAt(end) === OPEN) return end;
    if (/[A-Za-z]/.test(text[end] ?? '')) return null;
    while (' \n\t\r'.includes(text[end] ?? '?')) end += 1;
    return end;
  }
  return null;
}

/** `\boxed 5`, `\boxed\frac12`, `\boxed x`: a number, a letter or a command with its arguments. */
function bareAnswer(text: string, from: number): string | null {
  const match =
    /^(?:-?\d+(?:[.,]\d+)*|[A-Za-z](?![A-Za-z])|\\d?frac\s*(?:\d|\{[^{}]*\})\s*(?:\d|\{[^{}]*\})|\\sqrt\s*(?:\d|\{[^{}]*\})|\\pi)/.exec(
      text.slice(from, from + MAX_BARE),
    );
  return match === null ? null : match[0];
}

/** A number, with money, sign, separators, per cent or a unit, and nothing else. */
const NUMBER = /^[$€£]?\s*[-+−]?\s*[$€£]?\s*(?:\d[\d,. ]*(?:\/\s*\d+)?|\.\d+)\s*%?(?: ?[a-z]+){0,2}\.?$/;

function markedAnswer(text: string): Extracted | null {
  const trimmed = text.trimEnd();
  const line = trimmed.slice(trimmed.lastIndexOf('\n') + 1).trim();
  if (!line.startsWith('####')) return null;
  const answer = line.slice(4).trim();
  return answer.length <= MAX_BARE && NUMBER.test(answer)
    ? { answer: answer.replace(/[.,\s]+$/, ''), from: 'marker' }
    : null;
}
