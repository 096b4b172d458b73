"""Functions of torch operations only, run by TorchScript: without the interpreter, and so without its lock.

Lanes are threads of one interpreter. Between any two operators each of them would need its lock, hundreds of times in
a step of a few milliseconds; a scripted function needs it once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

# Shapes change with every step, so there is nothing to gain from specialising on those that were seen.
torch._C._jit_set_profiling_executor(False)


def scripted(function: Callable[..., Any]) -> Callable[..., Any]:
    """TorchScript is deprecated in favour of compilers; those need a C++ toolchain on the user's machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(function)
