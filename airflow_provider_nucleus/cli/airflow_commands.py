"""The command `airflow nucleus check`, where Airflow takes commands of providers (from 3.2)."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["get_commands"]


def get_commands() -> list[Any]:
    """Return the commands in the shape of Airflow's `cli_config`."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    from airflow_provider_nucleus.cli.check import DESCRIPTION, add_arguments

    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    return [
        GroupCommand(
            name="nucleus",
            help="Scale Nucleus",
            subcommands=[
                ActionCommand(
                    name="check",
                    help="Check a file before it is uploaded",
                    description=DESCRIPTION,
                    func=_check,
                    args=[_argument(Arg, action) for action in parser._actions],
                )
            ],
        )
    ]


def _argument(make: Any, action: argparse.Action) -> Any:
    """Return an argument of ours as one of Airflow's."""
    flags = tuple(action.option_strings) or (action.dest,)
    if isinstance(action, argparse._StoreTrueAction):
        return make(flags, help=action.help, action="store_true")
    given: dict[str, Any] = {
        "help": action.help,
        "type": action.type,
        "choices": action.choices,
        "metavar": action.metavar,
        "default": action.default,
    }
    return make(flags, **{name: value for name, value in given.items() if value is not None})


def _check(args: argparse.Namespace) -> None:
    from airflow_provider_nucleus.cli.check import run

    if status := run(args):
        raise SystemExit(status)
