"""Small random models for vLLM on the CPU, whose attention takes heads of 32 and more: a base, and adapters of it."""

import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM


def make_base(folder: Path, tokenizer: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=223,
        hidden_size=128,
        intermediate_size=288,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder)


def make_adapter(base: Path, folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(
            r=4,
            lora_alpha=32,
            target_modules=["q_proj", "v_proj", "up_proj", "down_proj"],
        ),
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # They begin as zeros, with which an adapter changes nothing.
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)


if __name__ == "__main__":
    target, tokenizer = Path(sys.argv[1]), Path(sys.argv[2])
    make_base(target / "base", tokenizer)
    for number in (1, 2, 3):
        make_adapter(target / "base", target / f"rl-search-{number}" / "model", number)
