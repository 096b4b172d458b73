"""Messages as the token ids that Astroflow's own sampling uses, by the tokenizer of a model's folder (transformers 5)."""

from __future__ import annotations

import re
from datetime import datetime

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import chat_template_utils

# Stands where an answer ends; no template has a reason to look for it.
MARK = "ASTROFLOW-ANSWER-ENDS-HERE"


class Day(datetime):
    """The day that Astroflow tells every chat template: prompts must not change from one day to the next."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12)


# What `strftime_now` asks; a function among a template's variables would be made a text.
chat_template_utils.datetime = Day
DATE_STRING = Day.now().strftime("%d %b %Y")


class Texts:
    """Messages as the token ids that Astroflow's own sampling uses: only a chat template writes control tokens.

    A control token's text inside a message is broken by a space behind its first character.
    """

    def __init__(self, model: str, template: str) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model)
        added = self.tokenizer.added_tokens_decoder.values()
        control = {token.content for token in added if token.special or re.search(r"[|｜]", token.content)}
        longest_first = sorted((text for text in control if len(text) > 1), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._chat = template == "chat"
        if self._chat and self.tokenizer.chat_template is None:
            raise SystemExit(f'{model} has no chat template: set policy.template to "plain"')
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.end_token = self._end_of_turn() if self._chat else self.tokenizer.eos_token_id

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def disarm(self, text: str) -> str:
        while self._control.search(text):
            text = self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text

    def prompt(self, messages: list[dict[str, str]]) -> str:
        """A last message of the assistant is the beginning of its answer."""
        messages = [{**message, "content": self.disarm(message["content"])} for message in messages]
        if not self._chat:
            return "".join(message["content"] for message in messages)
        opens = messages[-1]["role"] == "assistant"
        return self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=not opens,
            continue_final_message=opens,
            date_string=DATE_STRING,
        )

    def _end_of_turn(self) -> int:
        """The token that the template writes behind an answer."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
        after = (
            self.tokenizer.apply_chat_template(turns, tokenize=False, date_string=DATE_STRING)
            .partition(MARK)[2]
            .lstrip()
        )
        found = [text for text in self.tokenizer.get_added_vocab() if after.startswith(text)]
        return self.tokenizer.convert_tokens_to_ids(max(found, key=len)) if found else self.tokenizer.eos_token_id
