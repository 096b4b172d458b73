"""Merges a PEFT adapter into its base: {"base", "adapter", "out"} on standard input, a model folder in `out`."""

from __future__ import annotations

import json
import sys

try:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


def main() -> None:
    task = json.load(sys.stdin)
    # In the base's own precision: what is written is what an inference server loads.
    base = AutoModelForCausalLM.from_pretrained(task["base"], dtype="auto")
    with torch.no_grad():
        untie(base)
        merged = PeftModel.from_pretrained(base, task["adapter"]).merge_and_unload(safe_merge=True)
        tie_again(merged)
    merged.save_pretrained(task["out"])


def untie(model: torch.nn.Module) -> None:
    """An adapter beside the output layer is not one of the embedding, also where both are one weight in the base."""
    head = model.get_output_embeddings()
    if head is not None and head.weight is model.get_input_embeddings().weight:
        head.weight = torch.nn.Parameter(head.weight.clone())
        model.config.tie_word_embeddings = False


def tie_again(model: torch.nn.Module) -> None:
    """Where nothing was merged into either: the folder is like the base's then."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and not model.config.tie_word_embeddings and torch.equal(head.weight, embedding.weight):
        head.weight = embedding.weight
        model.config.tie_word_embeddings = True


if __name__ == "__main__":
    main()
