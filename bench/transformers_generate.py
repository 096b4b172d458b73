"""The reference of the decode benchmark: `transformers.generate` on a batch, as plainly as its users call it.

The first line on stdin is a job ``{"model", "threads", "prompts", "tokens"}``; for every further line the batch is
generated once and ``{"count", "seconds"}`` printed: tokens drawn and the time that took.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

job = json.loads(sys.stdin.readline())
torch.set_num_threads(job["threads"])
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32).eval()

# Decoder-only models are padded on the left, so that every row's next token is in the last column.
longest = max(map(len, job["prompts"]))
input_ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in job["prompts"]])
attention_mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in job["prompts"]])

for _ in sys.stdin:
    started = time.perf_counter()
    with torch.inference_mode():
        output = model.generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            max_new_tokens=job["tokens"],
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            pad_token_id=0,
        )
    seconds = time.perf_counter() - started
    print(json.dumps({"count": (output.shape[1] - longest) * output.shape[0], "seconds": seconds}), flush=True)
