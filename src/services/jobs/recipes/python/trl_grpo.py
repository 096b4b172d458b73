"""GRPO on TRL, from `job.json` and `rows.jsonl` in the current folder. See astroflow_trl."""

from __future__ import annotations

import json

import astroflow_reward
from astroflow_texts import Texts
from astroflow_trl import Progress, load_job, read_rows, shared_settings, train
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer


class Trainer(GRPOTrainer):
    """TRL's, but prompts get no special tokens beside those that the template wrote: they are sampled as they are."""

    def _tokenize_prompts(self, prompts: list[str]):
        return self.processing_class(text=prompts, add_special_tokens=False)["input_ids"], None, {}


def main() -> None:
    if not hasattr(GRPOTrainer, "_tokenize_prompts"):
        raise SystemExit("this TRL makes tokens of prompts in another way than 1.16, which the recipe is for")
    job = load_job()
    texts = Texts(job["model"], job["template"])
    astroflow_reward.trl_reward.end_tokens = {texts.end_token, texts.tokenizer.eos_token_id}
    # The problem as text: columns of a data set have one type, problems of a task need not.
    rows = [{"prompt": texts.prompt(r["prompt"]), "problem": json.dumps(r["problem"])} for r in read_rows("rows.jsonl")]
    shared = shared_settings(job)
    settings = {
        **shared,
        "lr_scheduler_type": "constant",
        "num_generations": job["group_size"],
        "steps_per_generation": shared["gradient_accumulation_steps"] * job["steps_per_iteration"],
        "max_completion_length": job["max_tokens"],
        "temperature": job["temperature"],
        "top_p": 1.0,
        "top_k": 0,
        # Dr. GRPO: no division by the deviation, none by the answer's length. TRL divides by `max_completion_length`
        # where Astroflow divides by C, which a weight of the reward makes good.
        "loss_type": "dr_grpo",
        "scale_rewards": "none",
        "reward_weights": [job["max_tokens"] / job["length_normalizer"]],
        "beta": 0.0,
        "epsilon": job["clip"]["low"],
        "epsilon_high": job["clip"]["high"],
        "num_iterations": 1,
        "mask_truncated_completions": False,
        **job["options"],
    }
    trainer = Trainer(
        model=job["model"],
        args=GRPOConfig(**settings),
        reward_funcs=[astroflow_reward.trl_reward],
        train_dataset=Dataset.from_list(rows),
        processing_class=texts.tokenizer,
        callbacks=[Progress()],
    )
    trainer.generation_config.eos_token_id = sorted({*trainer.eos_token_ids, texts.end_token})
    trainer.eos_token_ids = trainer.generation_config.eos_token_id
    train(trainer, texts.tokenizer)


if __name__ == "__main__":
    main()
