"""The sub-command `nucleus-local keys`: the keys of a data directory, also while a server runs on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from airflow_provider_nucleus.local.keys import KeyFiles

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the sub-command to the parser of `nucleus-local`."""
    keys = commands.add_parser(
        "keys", help="show, add, list, remove and rotate the API keys of a data directory"
    )
    actions = keys.add_subparsers(dest="action", required=True)
    for name, text, run in (
        ("show", "print the main key", _show),
        ("rotate", "make a new main key in place of the old one, and print it", _rotate),
        ("list", "list the names of all keys and what they may do", _list),
        ("add", "make a key with a name of its own and print it, this once", _add),
        ("remove", "remove a key by its name", _remove),
    ):
        takes = "" if run in {_show, _list} else "; a running server goes by it from the next request on"
        action = actions.add_parser(name, help=f"{text}{takes}")
        if run in {_add, _remove}:
            action.add_argument("name", help="name of the key")
        if run is _add:
            action.add_argument(
                "--read-only", action="store_true", help="it opens pages and whatever only reads"
            )
        action.add_argument(
            "--data-dir", type=Path, required=True, help="the directory that the server keeps"
        )
        action.set_defaults(run=run)


def _files(options: argparse.Namespace) -> KeyFiles:
    from airflow_provider_nucleus.local.errors import DataDirError
    from airflow_provider_nucleus.local.keys import KeyFiles

    if not (options.data_dir / "lock").is_file():
        raise DataDirError(
            f"{options.data_dir} is no data directory of nucleus-local yet: nucleus-local serve --data-dir {options.data_dir} makes it."
        )
    return KeyFiles(options.data_dir)


def _show(options: argparse.Namespace) -> int:
    key = _files(options).main()
    if key is None:
        return _not_kept(options)
    print(key)
    return 0


def _rotate(options: argparse.Namespace) -> int:
    files = _files(options)
    if files.main() is None:
        return _not_kept(options)
    print(files.rotate())
    print(
        "The former key opens nothing any more; browsers that signed in with it are signed out.",
        file=sys.stderr,
    )
    return 0


def _not_kept(options: argparse.Namespace) -> int:
    print(
        f"nucleus-local: {options.data_dir} keeps no main key: its server is given one with --api-key or NUCLEUS_LOCAL_API_KEY.",
        file=sys.stderr,
    )
    return 2


def _list(options: argparse.Namespace) -> int:
    files = _files(options)
    if files.main() is not None:
        print("main\teverything\tkept in api-key")
    for key in files.named():
        print(f"{key.name}\t{'reads only' if key.read_only else 'everything'}\tsince {key.created_at}")
    return 0


def _add(options: argparse.Namespace) -> int:
    print(_files(options).add(options.name, read_only=options.read_only))
    print("Keep it now: only its digest is stored, and nobody can show it again.", file=sys.stderr)
    return 0


def _remove(options: argparse.Namespace) -> int:
    _files(options).remove(options.name)
    return 0
