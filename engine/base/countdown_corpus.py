"""The corpus that the base model is trained on: single attempts at Countdown problems, right and wrong.

Four choices make later stages work, and each was found by leaving it out:

* every line restates what is left and the target, so a line depends on the line before it only;
* contexts are packed with several documents, and many of them try an earlier problem of the same context again,
  so the model learns to recall numbers from far back;
* half of the attempts are random and mostly wrong, and they claim an answer either way: the base model can check
  (``33 is not 39``) but does not act on it. Acting on it is what the pipeline teaches;
* some documents are drills of one operation on two numbers of any size, since the equations that held-out numbers
  lead to are otherwise too rare to be learned (without them one unseen equation in twelve was wrong).

The split below is the same function as ``splitOf`` in ``src/core/tasks/countdown-problems.ts``; both are tested
against the same table.
"""

from __future__ import annotations

import hashlib
import re
from random import Random

MIN_NUMBER, MAX_NUMBER = 1, 12
MIN_TARGET, MAX_TARGET = 10, 99
LARGEST_RESULT = 199

SPECIAL = ["<pad>", "<eos>", "<unk>"]
WORDS = [
    "\n", " ", "+", "-", "*", "/", "=", "(", ")", "}",
    "Use ", " to make ", " left ", " is ", " is not ", "Answer boxed{",
    "Wait", " go back to ", " start over with ", "Looks right so far",
]  # fmt: skip
VOCABULARY = SPECIAL + WORDS + [str(n) for n in range(LARGEST_RESULT + 1)]
TOKEN_ID = {token: index for index, token in enumerate(VOCABULARY)}
PATTERN = r"\d+|" + "|".join(re.escape(w) for w in sorted(WORDS, key=len, reverse=True))
_TOKENS = re.compile(PATTERN)
EOS = TOKEN_ID["<eos>"]

Step = tuple[str, list[int]]


def encode(text: str) -> list[int]:
    return [TOKEN_ID[token] for token in _TOKENS.findall(text)]


def decode(ids: list[int]) -> str:
    return "".join(VOCABULARY[i] for i in ids if i >= len(SPECIAL))


def _bucket(text: str) -> int:
    """First four bytes of SHA-256, big endian, modulo 100."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100


def split_of(numbers: list[int], target: int) -> str:
    """train, dev-numbers, test-numbers (sorted numbers held out), dev-problems or test-problems (target held out)."""
    key = ",".join(map(str, sorted(numbers)))
    by_numbers = _bucket(f"numbers:{key}")
    if by_numbers < 20:
        return "test-numbers"
    if by_numbers < 25:
        return "dev-numbers"
    by_problem = _bucket(f"problem:{key}:{target}")
    if by_problem < 10:
        return "test-problems"
    if by_problem < 15:
        return "dev-problems"
    return "train"


def operations(a: int, b: int) -> list[tuple[str, int]]:
    """Operators allowed on a >= b; no result is negative or above LARGEST_RESULT."""
    allowed = [("+", a + b), ("-", a - b)]
    if a * b <= LARGEST_RESULT:
        allowed.append(("*", a * b))
    return [(op, value) for op, value in allowed if value <= LARGEST_RESULT]


def attempt(numbers: list[int], rng: Random) -> tuple[list[Step], int, str]:
    """Random operations until one number is left: steps, the value reached, the expression."""
    items = [(n, str(n)) for n in numbers]
    steps: list[Step] = []
    while len(items) > 1:
        i, j = rng.sample(range(len(items)), 2)
        if items[i][0] < items[j][0]:
            i, j = j, i
        (a, left), (b, right) = items[i], items[j]
        op, value = rng.choice(operations(a, b))
        items = [items[k] for k in range(len(items)) if k not in (i, j)] + [(value, f"({left}{op}{right})")]
        steps.append((f"{a}{op}{b}={value}", [n for n, _ in items]))
    return steps, items[0][0], items[0][1][1:-1]


def prompt(numbers: list[int], target: int) -> str:
    return f"Use {' '.join(map(str, numbers))} to make {target}\n"


def answer(target: int, steps: list[Step], value: int, expression: str) -> str:
    lines = [f"{equation} left {' '.join(map(str, rest))} to make {target}\n" for equation, rest in steps[:-1]]
    verdict = "is" if value == target else "is not"
    lines.append(f"{steps[-1][0]} {verdict} {target}\n")
    return "".join(lines) + f"Answer boxed{{{expression}}}"


def solvable_problem(split: str, rng: Random, count: int = 3) -> tuple[list[int], int, list[Step], str]:
    """Numbers, target and one solution, drawn from a split by rejection."""
    while True:
        numbers = [rng.randint(MIN_NUMBER, MAX_NUMBER) for _ in range(count)]
        steps, value, expression = attempt(numbers, rng)
        if MIN_TARGET <= value <= MAX_TARGET and split_of(numbers, value) == split:
            return numbers, value, steps, expression


def drill(rng: Random) -> tuple[list[int], int]:
    """Two numbers of any size and a target; in half of the drills the target is what the numbers make."""
    while True:
        numbers = [rng.randint(1, 144), rng.randint(1, MAX_NUMBER if rng.random() < 0.7 else 60)]
        rng.shuffle(numbers)
        target = attempt(numbers, rng)[1] if rng.random() < 0.5 else rng.randint(MIN_TARGET, MAX_TARGET)
        if MIN_TARGET <= target <= MAX_TARGET:
            return numbers, target


def document(rng: Random, history: list[tuple[list[int], int]]) -> list[int]:
    """One problem with one attempt; appends to the history of the context."""
    if rng.random() < 0.15:
        numbers, target = drill(rng)
        return _text(numbers, target, *attempt(numbers, rng))
    if history and rng.random() < 0.6:
        # Again, or what was left of it after one step: recalling numbers from far back.
        numbers, target = rng.choice(history)
        if len(numbers) > 2 and rng.random() < 0.35:
            numbers = attempt(numbers, rng)[0][0][1]
        steps, value, expression = attempt(numbers, rng)
    else:
        numbers, target, steps, expression = solvable_problem("train", rng)
        value = target
        if rng.random() < 0.5:
            steps, value, expression = attempt(numbers, rng)
    history.append((numbers, target))
    del history[:-2]
    return _text(numbers, target, steps, value, expression)


def _text(numbers: list[int], target: int, steps: list[Step], value: int, expression: str) -> list[int]:
    return encode(prompt(numbers, target) + answer(target, steps, value, expression)) + [EOS]


def packed_context(length: int, rng: Random) -> list[int]:
    ids: list[int] = []
    history: list[tuple[list[int], int]] = []
    while len(ids) < length:
        ids += document(rng, history)
    return ids[:length]
