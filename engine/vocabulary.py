"""What tokens look like as text, for stop strings: decided by a table per token wherever a table can decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

GOES_ON, ENDS, LOOK_AT_TEXT = 0, 1, 2
UNDECODABLE = "\ufffd"


@dataclass(frozen=True)
class Stops:
    """What ends a completion besides the end-of-text token and the token limit."""

    strings: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()


class Vocabulary:
    def __init__(self, tokenizer: Tokenizer, size: int, eos: Sequence[int]):
        self.tokenizer, self.size, self.eos = tokenizer, size, frozenset(eos)
        # Some decoders treat a first token specially (a leading blank), so each token is decoded behind another one.
        anchor = (tokenizer.encode("a", add_special_tokens=False).ids or [0])[:1]
        skipped = len(tokenizer.decode(anchor))
        known = tokenizer.get_vocab_size()
        self.pieces = [tokenizer.decode([*anchor, i])[skipped:] if i < known else "" for i in range(size)]

    @staticmethod
    def load(folder: Path, size: int, eos: Sequence[int]) -> Vocabulary:
        return Vocabulary(Tokenizer.from_file(str(folder / "tokenizer.json")), size, eos)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Text without special tokens."""
        return self.tokenizer.decode(list(tokens), skip_special_tokens=True)

    def stop_table(self, stops: Stops) -> np.ndarray:
        """For every token: GOES_ON, ENDS, or LOOK_AT_TEXT where it may complete a string begun by earlier tokens.

        A token that contains a whole stop string ends the completion. A stop string can only be completed by a token
        that contains its last character (or by a token that is part of a character, hence undecodable alone).
        """
        table = np.zeros(self.size, np.uint8)
        for token, piece in enumerate(self.pieces):
            if any(stop in piece for stop in stops.strings):
                table[token] = ENDS
            elif stops.strings and (UNDECODABLE in piece or any(stop[-1] in piece for stop in stops.strings)):
                table[token] = LOOK_AT_TEXT
        table[[*self.eos, *stops.tokens]] = ENDS
        return table

    def matched_string(self, tokens: Sequence[int], stops: Stops) -> str | None:
        """The stop string that the last token completed, the one that ends first if it completed several."""
        if not stops.strings:
            return None
        # Enough tokens for the longest string even where tokens are parts of characters or decode to nothing.
        tail = self.decode(tokens[-(4 * max(map(len, stops.strings)) + 16) :])
        found = [(tail.find(stop) + len(stop), stop) for stop in stops.strings if stop in tail]
        return min(found)[1] if found else None

    def completion_text(self, tokens: Sequence[int], matched: str | None, keep_matched: bool) -> str:
        text = self.decode(tokens)
        if matched is None:
            return text
        at = text.find(matched)
        return text[: at + len(matched) if keep_matched else at]
