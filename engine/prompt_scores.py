"""How likely a prompt is: a forward pass over it beside its sampling, by the very code that training uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .llama import Weights
from .policy import Architecture


@dataclass
class PromptScores:
    """Log-probabilities of the last ``count`` tokens of a prompt, which has more, and for each of these places the
    ``top`` likeliest tokens with theirs. ``own``: the first of these are wanted.
    """

    count: int
    top: int
    own: bool
    logprobs: np.ndarray = field(init=False)
    top_tokens: np.ndarray = field(init=False)
    top_logprobs: np.ndarray = field(init=False)

    def compute(self, architecture: Architecture, weights: Weights, prompt: np.ndarray) -> None:
        if self.count == 0:
            self.logprobs, self.top_tokens, self.top_logprobs = (np.zeros(0) for _ in range(3))
            return
        ids = torch.from_numpy(prompt)
        real = torch.ones(1, len(ids) - 1, dtype=torch.bool)
        at = torch.zeros_like(real)
        at[:, len(ids) - 1 - self.count :] = True
        logits = architecture.logits(weights, ids[None, :-1], real, at)
        self.logprobs = -F.cross_entropy(logits, ids[len(ids) - self.count :], reduction="none").numpy()
        top = torch.log_softmax(logits, -1).topk(self.top) if self.top else (torch.zeros(0), torch.zeros(0))
        self.top_logprobs, self.top_tokens = (found.numpy() for found in top)

    def answer(self, prompt_tokens: int) -> dict[str, Any]:
        """As the protocol has it: one entry for every token of the prompt, null where there is none."""
        before: list[Any] = [None] * (prompt_tokens - self.count)
        answer = {"prompt_logprobs": before + self.logprobs.tolist()} if self.own else {}
        if self.top:
            rows = zip(self.top_tokens.tolist(), self.top_logprobs.tolist(), strict=True)
            answer["topk_prompt_logprobs"] = before + [list(zip(*row, strict=True)) for row in rows]
        return answer
