"""Runs fine-tuning or GRPO of a NeMo-RL checkout with Astroflow's texts and rewards. See astroflow_nemo_rl.

python nemo_rl_train.py CHECKOUT [KEY=VALUE …]      in the job's folder; the rest are overrides as NeMo-RL takes them
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path


def main() -> None:
    checkout, *overrides = sys.argv[1:]
    here = Path(__file__).resolve().parent
    # Every actor gets this process's environment; those of the reward import modules of this folder.
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(here) if not others else f"{here}{os.pathsep}{others}"
    sys.path.insert(1, str(Path(checkout) / "examples"))

    import astroflow_nemo_rl as ours

    ours.register()
    ends: list[str] = []
    if ours.job()["stage"] == "rl":
        tokens = sorted({ours.texts().end_token, ours.texts().tokenizer.eos_token_id})
        ends = [f"policy.generation.stop_token_ids={tokens}"]
    program = importlib.import_module({"sft": "run_sft", "rl": "run_grpo"}[ours.job()["stage"]])
    sys.argv = [str(program.__file__), "--config", str(here / "nemo_rl.yaml"), *ends, *overrides]
    program.main()


if __name__ == "__main__":
    main()
