"""The sub-command `nucleus-local demo`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_nucleus.cli.arguments import share, whole_number

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "demo",
        help="judge two detectors on three days of pictures, through real Airflow on the embedded Nucleus",
        description=(
            "Evaluate models through an example DAG in real Airflow (as airflow dags test does, SQLite) on an embedded Nucleus, "
            "and compare them. Without --data, three days of scenes are rendered, two pixel detectors look at them, and a gate "
            "judges on each day whether one may replace the other."
        ),
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with a COCO ground truth, one or more COCO result files, and perhaps images",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        help="folder for all results; those of a former demonstration on the same data are replaced "
        "(default: .demo, with --data .demo-<name of that folder>)",
    )
    parser.add_argument(
        "--geometry",
        choices=("box", "polygon", "keypoints"),
        help="what is compared of --data (default: boxes, or keypoints where no model has boxes)",
    )
    parser.add_argument(
        "--dags", type=Path, help="folder with the example DAGs (default: those of the package)"
    )
    parser.add_argument(
        "--frames", type=whole_number(4, 10_000), help="number of rendered scenes (default: 36)"
    )
    parser.add_argument("--seed", type=int, help="seed of the rendered scenes (default: 7)")
    parser.add_argument(
        "--iou", type=share, default=0.5, help="IoU from which a match counts, 0-1 (default: 0.5)"
    )
    parser.add_argument("--verbose", action="store_true", help="show everything Airflow prints")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demonstration and return the exit status: 0, 1 on failure, 128 + signal when interrupted."""
    # Imported here so that --help needs no extra.
    from airflow_provider_nucleus.demo.console import Console
    from airflow_provider_nucleus.demo.errors import DemoError
    from airflow_provider_nucleus.demo.processes import Interrupted
    from airflow_provider_nucleus.demo.runner import Options, run_demo
    from airflow_provider_nucleus.demo.work_dir import usual_folder

    chosen = {name: value for name in ("frames", "seed") if (value := getattr(args, name)) is not None}
    options = Options(
        work_dir=args.work_dir or usual_folder(args.data),
        data=args.data,
        shape=args.geometry,
        dags=args.dags,
        iou_threshold=args.iou,
        verbose=args.verbose,
        **chosen,
    )
    console = Console()
    try:
        run_demo(options, console)
    except DemoError as error:
        console.text()
        if error.evidence:
            print(error.evidence, file=sys.stderr)
            print(file=sys.stderr)
        print(f"nucleus-local demo: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # as in `nucleus-local demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Interrupted, KeyboardInterrupt) as error:
        number = error.number if isinstance(error, Interrupted) else int(signal.SIGINT)
        console.text(f"\nInterrupted after {console.elapsed:.0f} s; nothing is left running.")
        return 128 + number
    return 0
