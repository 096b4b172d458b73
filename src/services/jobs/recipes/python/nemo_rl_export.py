"""Makes `model/`, which transformers loads, from a checkpoint of NeMo-RL.

python nemo_rl_export.py CHECKOUT CHECKPOINT        in the job's folder
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

# What the converter writes: one file of pickled weights, which not every server and trainer loads.
CONVERTED = Path("converted")


def main() -> None:
    checkout, checkpoint = map(Path, sys.argv[1:])
    # The converter refuses what an interrupted one has left.
    shutil.rmtree(CONVERTED, ignore_errors=True)
    command = [sys.executable, str(checkout / "examples/converters/convert_dcp_to_hf.py")]
    command += ["--config", str(checkpoint / "config.yaml"), "--dcp-ckpt-path", str(checkpoint / "policy/weights")]
    subprocess.run([*command, "--hf-ckpt-path", str(CONVERTED)], check=True)
    AutoModelForCausalLM.from_pretrained(CONVERTED, dtype="auto").save_pretrained("model")
    AutoTokenizer.from_pretrained(CONVERTED).save_pretrained("model")
    shutil.rmtree(CONVERTED)


if __name__ == "__main__":
    main()
