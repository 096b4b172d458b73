"""Supervised fine-tuning on TRL, from `job.json` and `rows.jsonl` in the current folder. See astroflow_trl."""

from __future__ import annotations

from astroflow_texts import Texts
from astroflow_trl import Progress, load_job, read_rows, shared_settings, train
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from trl import SFTConfig, SFTTrainer


def labelled(texts: Texts, row: dict, train_on_prompt: bool) -> dict[str, list[int]]:
    """Tokens of prompt, completion and end; the labels of what carries no loss are -100."""
    prompt = texts.ids(texts.prompt(row["prompt"]))
    completion = [*texts.ids(texts.disarm(row["completion"])), texts.end_token]
    return {
        "input_ids": prompt + completion,
        "labels": (prompt if train_on_prompt else [-100] * len(prompt)) + completion,
    }


class Trainer(SFTTrainer):
    """TRL's, with Astroflow's learning rate: linear warm-up times linear decay to a share of the rate."""

    final_fraction = 0.0
    warmup = 0

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        def factor(step: int) -> float:
            left = max(0.0, 1 - step / num_training_steps)
            warm = min(1.0, (step + 1) / self.warmup) if self.warmup > 0 else 1.0
            return warm * (self.final_fraction + (1 - self.final_fraction) * left)

        self.lr_scheduler = LambdaLR(optimizer if optimizer is not None else self.optimizer, factor)
        return self.lr_scheduler


def main() -> None:
    job = load_job()
    texts = Texts(job["model"], job["template"])
    rows = [labelled(texts, row, job["train_on_prompt"]) for row in read_rows("rows.jsonl")]
    settings = {**shared_settings(job), "max_length": None, **job["options"]}
    trainer = Trainer(
        model=job["model"],
        args=SFTConfig(**settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=texts.tokenizer,
        callbacks=[Progress()],
    )
    trainer.final_fraction, trainer.warmup = job["final_fraction"], job["warmup_steps"]
    train(trainer, texts.tokenizer)


if __name__ == "__main__":
    main()
