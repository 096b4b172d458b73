"""A model folder, as transformers sees it, against answers whose log-probabilities the engine recorded.

    check_exported_model.py FOLDER ROLLOUTS.jsonl ITERATION

Prints {"answers", "largest_gap", "generated"} as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    folder, rollouts, iteration = sys.argv[1:]
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [json.loads(line) for line in Path(rollouts).read_text().splitlines()]
    rows = [row for row in rows if row["iteration"] == int(iteration)]
    gap = 0.0
    with torch.no_grad():
        for row in rows:
            assert tokenizer(row["prompt"], add_special_tokens=False).input_ids == row["prompt_ids"]
            tokens = torch.tensor([row["prompt_ids"] + row["completion_ids"]])
            logprobs = model(tokens).logits[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]
            seen = logprobs[len(row["prompt_ids"]) - 1 :]
            gap = max(gap, (seen - torch.tensor(row["logprobs"])).abs().max().item())
        prompt = tokenizer(rows[0]["prompt"], return_tensors="pt", add_special_tokens=False)
        prompt.pop("token_type_ids", None)
        generated = model.generate(**prompt, max_new_tokens=24, do_sample=False)
    text = tokenizer.decode(generated[0, prompt.input_ids.shape[1] :], skip_special_tokens=True)
    print(json.dumps({"answers": len(rows), "largest_gap": gap, "generated": text}))


if __name__ == "__main__":
    main()
