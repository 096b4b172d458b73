"""Writes offline runs for `wandb sync`: {"folder", "project", "runs": [{id, name, group, config, rows}]} on stdin."""

from __future__ import annotations

import json
import sys

try:
    import wandb
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


def main() -> None:
    task = json.load(sys.stdin)
    for run in task["runs"]:
        offline = wandb.init(
            mode="offline",
            dir=task["folder"],
            project=task["project"],
            id=run["id"],
            name=run["name"],
            group=run["group"],
            config=run["config"],
            # The curves are all there is: nothing of this machine, which only exports them.
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, x_disable_meta=True, save_code=False
            ),
        )
        for stage in sorted({name.split("/")[0] for row in run["rows"] for name in row}):
            offline.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        for row in run["rows"]:
            offline.log(row)
        offline.finish()


if __name__ == "__main__":
    main()
