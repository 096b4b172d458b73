"""Reads a recipe's `run.json` with the real package's own parser, without what needs a GPU: prints what it understood.

python recipe_parsers.py RUN_JSON
"""

import ast
import importlib.util
import json
import math
import sys
import types
from pathlib import Path
from typing import Any


def main() -> None:
    train = json.loads(Path(sys.argv[1]).read_text())["train"]
    at = next(index for index, word in enumerate(train) if word.startswith(("verl.", "openrlhf.")))
    module, arguments = train[at], train[at + 1 :]
    understood = verl(module, arguments) if module.startswith("verl.") else openrlhf(module, arguments)
    print(json.dumps(finite(understood), default=str))


def finite(value: Any) -> Any:
    """JSON knows no infinity, which is a default of OpenRLHF's."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def verl(module: str, overrides: list[str]) -> Any:
    """Hydra composes verl's own configuration: an unknown key, or a value of the wrong form, is an error."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    name = {"verl.trainer.sft_trainer": "sft_trainer_engine", "verl.trainer.main_ppo": "ppo_trainer"}[module]
    with initialize_config_dir(str(package("verl") / "trainer/config"), version_base=None):
        return OmegaConf.to_container(compose(name, overrides=overrides))


def openrlhf(module: str, arguments: list[str]) -> Any:
    """The part of the program that parses and checks its arguments, without the imports of training."""
    root = package("openrlhf")
    for name, path in (("openrlhf", root), ("openrlhf.utils", root / "utils")):
        shell = types.ModuleType(name)
        shell.__path__ = [str(path)]
        sys.modules[name] = shell
    source = ast.parse((root / "cli" / f"{module.rsplit('.', 1)[1]}.py").read_text())
    program = next(node for node in source.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))
    body = [node for node in program.body if ast.unparse(node) != "train(args)"]
    assert len(body) == len(program.body) - 1, "the program does not end as expected"
    imports = [node for node in source.body if ast.unparse(node).split()[1] in ("argparse", "os", "datetime")]
    scope: dict[str, Any] = {}
    sys.argv = [module, *arguments]
    exec(compile(ast.Module(imports + body, []), module, "exec"), scope)
    return json.loads(json.dumps(scope["args"], default=vars))


def package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.submodule_search_locations is not None, f"{name} is not installed"
    return Path(spec.submodule_search_locations[0])


if __name__ == "__main__":
    main()
