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
        merged = PeftModel.from_pretrained(base, task["adapter"]).merge_and_unload(safe_merge=True)
    merged.save_pretrained(task["out"])


if __name__ == "__main__":
    main()
