"""The command `nucleus-local`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airflow_provider_nucleus.cli import (
    baseline,
    check,
    demo,
    evaluate,
    gate,
    keys,
    operating_point,
    serve,
)
from airflow_provider_nucleus.cli.arguments import CommandParser, wrong_use_status
from airflow_provider_nucleus.local.errors import DataDirError, KeyFileError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return the exit status."""
    parser: argparse.ArgumentParser = CommandParser(
        prog="nucleus-local", description="A Nucleus of your own, on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve.add_parser(commands)
    keys.add_parser(commands)
    coverage = commands.add_parser(
        "coverage", help="print which routes of the contract are there (docs/coverage.md)"
    )
    coverage.set_defaults(run=_coverage)
    demo.add_parser(commands)
    evaluate.add_parser(commands)
    gate.add_parser(commands)
    operating_point.add_parser(commands)
    baseline.add_parser(commands)
    check.add_parser(commands)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        getattr(options, "parser", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(options.run(options))
    except (DataDirError, KeyFileError, SettingsError) as error:
        print(f"nucleus-local: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "airflow_provider_nucleus"}:
            raise
        print(
            f"nucleus-local: {options.command} needs {missing}, which is not installed: "
            "pip install 'airflow-provider-nucleus[local]'",
            file=sys.stderr,
        )
        return wrong_use_status(getattr(options, "parser", parser))


def _coverage(_: argparse.Namespace) -> int:
    from airflow_provider_nucleus.local.contract import coverage_page
    from airflow_provider_nucleus.local.routes.all_routes import all_routes

    print(coverage_page(all_routes()), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
