"""Trains the bundled base model from nothing: ``python -m engine.base.train --out DIR``.

Llama shape, 0.38 M parameters, whole numbers as tokens. Seeded; on one CPU thread a step of 16 x 256 tokens takes
about 0.2 s, so the default is about 45 minutes. The result (model.safetensors, config.json, tokenizer.json) is
committed under ``engine/base/model`` with its model card.
"""

from __future__ import annotations

import argparse
import ast
import operator
import re
import time
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .countdown_corpus import EOS, PATTERN, TOKEN_ID, VOCABULARY, decode, encode, packed_context, prompt
from .countdown_corpus import solvable_problem

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}

CONTEXT, BATCH, PEAK_RATE, WARMUP_STEPS, FINAL_FRACTION = 256, 16, 3e-3, 100, 0.03


def build_model() -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(VOCABULARY),
            hidden_size=96,
            intermediate_size=288,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=1024,
            pad_token_id=TOKEN_ID["<pad>"],
            eos_token_id=EOS,
            bos_token_id=None,
            tie_word_embeddings=True,
        )
    )


def build_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel(TOKEN_ID, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def save(model: LlamaForCausalLM, folder: Path) -> None:
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)


@torch.no_grad()
def scores(model: LlamaForCausalLM, split: str, problems: int = 400) -> dict[str, float]:
    """pass@1 at temperature 1 and the share of right equations, on freshly drawn problems of a split."""
    rng = Random(9)
    torch.manual_seed(9)
    drawn = [solvable_problem(split, rng) for _ in range(problems)]
    right = equations = right_equations = 0
    # Whole numbers are single tokens, so all prompts of three numbers have one length and need no padding.
    ids = torch.tensor([encode(prompt(numbers, target)) for numbers, target, _, _ in drawn])
    texts = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=True, top_k=0)
    for (numbers, target, _, _), row in zip(drawn, texts.tolist(), strict=True):
        row = row[ids.shape[1] :]
        text = decode(row[: row.index(EOS)] if EOS in row else row)
        for a, op, b, c in re.findall(r"(\d+)([-+*])(\d+)=(\d+)", text):
            equations += 1
            right_equations += {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[op] == int(c)
        boxed = re.search(r"boxed\{([\d+*()-]+)\}", text)
        right += boxed is not None and _makes(boxed[1], numbers, target)
    return {"pass@1": right / problems, "right equations": right_equations / max(1, equations)}


def _makes(expression: str, numbers: list[int], target: int) -> bool:
    if sorted(int(n) for n in re.findall(r"\d+", expression)) != sorted(numbers):
        return False
    try:
        return _value(ast.parse(expression, mode="eval").body) == target
    except (SyntaxError, ValueError, RecursionError):
        return False


def _value(node: ast.expr) -> int:
    """What a sum of whole numbers comes to. A model wrote it, so it is read and never run: 9**9**9 is no sum."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError(node)


def train(out: Path, steps: int, seed: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = Random(seed)
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(VOCABULARY)} tokens", flush=True)
    start = time.monotonic()
    for step in range(steps):
        decay = FINAL_FRACTION + (1 - FINAL_FRACTION) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * decay
        ids = torch.tensor([packed_context(CONTEXT, rng) for _ in range(BATCH)])
        logits = model(input_ids=ids).logits
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0:
            print(f"step {step} loss {loss.item():.3f} {time.monotonic() - start:.0f}s", flush=True)
        if step % 2000 == 1999:
            save(model, out)
            print("dev", {s: scores(model, s) for s in ("dev-numbers", "dev-problems")}, flush=True)
    save(model, out)
    print("dev", {s: scores(model, s, 1000) for s in ("train", "dev-numbers", "dev-problems")}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=13_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    train(arguments.out, arguments.steps, arguments.seed, arguments.threads)
