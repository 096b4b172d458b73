/** So many words in a row make an overlap: the measure of contamination that GPT-3's authors used. */
const GRAM = 13;

/** A test problem that also stands in the training data, and the first training problem that it was found in. */
export interface Overlap<Test, Training> {
  test: Test;
  training: Training;
  /** All of it, or so many words in a row. */
  how: 'exact' | '13-gram';
  /** The shared words as they are compared; absent where all of it is shared. */
  gram?: string;
}

/**
 * Which tests stand in the training data, each once, in the order of the tests. Exact means that the same tokens are
 * left by `tokensOf`, or that both have one identity; a test of fewer than 13 words is only compared exactly. Linear in the length of all texts; memory
 * is some 40 bytes per word of the tests, however many training problems there are.
 *
 * @param statement a problem's own words, without instructions that all problems share
 * @param identity equal for problems that are the same in other words or another order; left out: the words alone count
 */
export function findOverlap<Test, Training>(
  tests: readonly Test[],
  training: readonly Training[],
  statement: (problem: Test | Training) => string,
  identity?: (problem: Test | Training) => string,
): Overlap<Test, Training>[] {
  const testsBySame = new Map<string, number[]>();
  /** What makes a problem the same as another; texts and identities are told apart by their first letter. */
  const sameOf = (problem: Test | Training, tokens: readonly string[]) => [
    `t ${tokens.join(' ')}`,
    ...(identity === undefined ? [] : [`i ${identity(problem)}`]),
  ];
  const index = createGramIndex();
  for (const [test, problem] of tests.entries()) {
    const tokens = tokensOf(statement(problem));
    for (const key of sameOf(problem, tokens)) {
      const same = testsBySame.get(key);
      if (same === undefined) testsBySame.set(key, [test]);
      else same.push(test);
    }
    index.add(test, tokens.filter(isWord));
  }
  const take = index.build();
  const found = new Map<number, Overlap<Test, Training>>();
  for (const problem of training) {
    const tokens = tokensOf(statement(problem));
    for (const key of sameOf(problem, tokens)) {
      for (const test of testsBySame.get(key) ?? []) {
        if (found.get(test)?.how === 'exact') continue;
        found.set(test, { test: tests[test] as Test, training: problem, how: 'exact' });
      }
      testsBySame.delete(key);
    }
    for (const { test, gram } of take(tokens.filter(isWord))) {
      if (!found.has(test)) found.set(test, { test: tests[test] as Test, training: problem, how: '13-gram', gram });
    }
  }
  return [...found].sort(([a], [b]) => a - b).map(([, overlap]) => overlap);
}

/** Commands that change how a formula looks and not what it says, and the groups that some of them open. */
const LATEX_LOOK =
  /\\(?:[,;:!> ()[\]]|(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|quad|qquad|text(?:bf|it|rm)?|math(?:rm|bf|it)|mbox|limits)(?![a-zA-Z]))/g;
const LATEX_FRACTION = /\\[dtc]frac(?![a-zA-Z])/g;
const THOUSANDS = /(?<=\d)(?:,|\{,\}|\\,)(?=\d{3}(?!\d))/g;

/**
 * A word or number (with its decimals), or a sign that changes what a formula says: brackets, a relation or operator, a
 * minus that is no hyphen, a factorial, a prime. All other punctuation only separates.
 */
const TOKEN =
  /(?:[\p{L}\p{M}\p{N}]|(?<=\p{N})\.(?=\p{N})|(?<=\p{L})'(?=\p{L}))+|[\p{Sm}()[\]*/^%]|(?<!\p{L})-|-(?!\p{L})|(?<=[\p{N})])!|(?<=[\p{L}'])'(?=['(])/gu;

/**
 * What two texts are compared by: lower case, Unicode's compatible forms made one, LaTeX's looks and spacing removed,
 * numbers kept ("1,000" is 1000, "1.5" is not 15).
 */
export function tokensOf(text: string): string[] {
  const plain = text
    .normalize('NFKC')
    .replace(THOUSANDS, '')
    .replace(LATEX_FRACTION, '\\frac')
    .replace(LATEX_LOOK, ' ')
    .replaceAll('~', ' ')
    .replaceAll('−', '-')
    .replaceAll('’', "'")
    .toLowerCase();
  return plain.match(TOKEN) ?? [];
}

/** Signs are no words: a formula is soon 13 signs long. */
const isWord = (token: string) => /[\p{L}\p{N}]/u.test(token);

/** Where the grams of all tests are: chained hashing in typed arrays, since a benchmark can have millions. */
function createGramIndex() {
  /** From 1; 0 is a word of no test. */
  const vocabulary = new Map<string, number>();
  /** Words of all tests, one after the other; where each gram begins in them; whose it is. */
  const words: number[] = [];
  const starts: number[] = [];
  const owners: number[] = [];

  return {
    add(test: number, tokens: readonly string[]): void {
      const first = words.length;
      for (const token of tokens) {
        const id = vocabulary.get(token) ?? vocabulary.size + 1;
        vocabulary.set(token, id);
        words.push(id);
      }
      for (let start = first; start + GRAM <= words.length; start++) {
        starts.push(start);
        owners.push(test);
      }
    },

    /** Ends adding. The function takes every gram that a text shares with a test out of the index, and names the test. */
    build(): (tokens: readonly string[]) => { test: number; gram: string }[] {
      const mask = 2 ** Math.ceil(Math.log2(2 * starts.length + 2)) - 1;
      const heads = new Int32Array(mask + 1).fill(-1);
      const next = new Int32Array(starts.length);
      for (const [gram, start] of starts.entries()) {
        const bucket = hashOf(words, start) & mask;
        next[gram] = heads[bucket] as number;
        heads[bucket] = gram;
      }
      return (tokens) => {
        const taken: { test: number; gram: string }[] = [];
        const ids = tokens.map((token) => vocabulary.get(token) ?? 0);
        for (let start = 0, known = 0; start + known < ids.length; ) {
          if (ids[start + known] === 0) {
            start += known + 1;
            known = 0;
          } else if (++known === GRAM) {
            take(start);
            start += 1;
            known -= 1;
          }
        }
        return taken;

        function take(start: number): void {
          const bucket = hashOf(ids, start) & mask;
          let before = -1;
          for (let gram = heads[bucket] as number; gram >= 0; gram = next[gram] as number) {
            if (!isSameGram(words, starts[gram] as number, ids, start)) {
              before = gram;
              continue;
            }
            // Taken out, so that a gram of many tests is walked over once and not for each training problem.
            if (before < 0) heads[bucket] = next[gram] as number;
            else next[before] = next[gram] as number;
            taken.push({ test: owners[gram] as number, gram: tokens.slice(start, start + GRAM).join(' ') });
          }
        }
      };
    },
  };
}

function hashOf(ids: readonly number[], start: number): number {
  let hash = 0;
  for (let i = start; i < start + GRAM; i++) hash = Math.imul(hash ^ (ids[i] as number), 0x9e3779b1) ^ (hash >>> 15);
  return hash ^ (hash >>> 13);
}

function isSameGram(a: readonly number[], aStart: number, b: readonly number[], bStart: number): boolean {
  for (let i = 0; i < GRAM; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}
