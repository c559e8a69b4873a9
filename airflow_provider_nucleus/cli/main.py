"""The command `nucleus-local`."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_nucleus.cli import demo, evaluate
from airflow_provider_nucleus.cli.arguments import whole_number
from airflow_provider_nucleus.local.errors import DataDirError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="nucleus-local", description="A Nucleus of your own, on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the REST API and the pages from a data directory")
    serve.add_argument(
        "--data-dir", type=Path, required=True, help="where everything is kept; created if missing"
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    serve.add_argument(
        "--port",
        type=whole_number(0, 65_535),
        default=8787,
        help="port to listen on; 0 picks a free one and prints it",
    )
    serve.add_argument(
        "--api-key", help="key that clients must send (default: NUCLEUS_LOCAL_API_KEY, else generated)"
    )
    serve.set_defaults(run=_serve)
    coverage = commands.add_parser(
        "coverage", help="print which routes of the contract are there (docs/coverage.md)"
    )
    coverage.set_defaults(run=_coverage)
    demo.add_parser(commands)
    evaluate.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (DataDirError, SettingsError) as error:
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
        return 2


def _serve(options: argparse.Namespace) -> int:
    # Imported here so that --help needs no extra.
    import uvicorn

    from airflow_provider_nucleus.local.datadir import DataDir
    from airflow_provider_nucleus.local.server import API_PREFIX, create_app
    from airflow_provider_nucleus.local.settings import Settings

    with DataDir(options.data_dir) as folder:
        given = options.api_key or os.environ.get("NUCLEUS_LOCAL_API_KEY")
        key, fresh = (given, False) if given else folder.stored_key()
        settings = Settings.from_environment(api_key=key)
        try:
            listener = socket.create_server((options.host, options.port), family=_family(options.host))
        except OSError as error:
            print(f"nucleus-local: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
            return 2
        with listener:
            app = create_app(folder, settings=settings)
            host = f"[{options.host}]" if ":" in options.host else options.host
            address = f"http://{host}:{listener.getsockname()[1]}"
            print(f"Nucleus listens on {address}{API_PREFIX}", flush=True)
            if fresh:
                print(f"API key: {key} (kept in {folder.root / 'api-key'})", flush=True)
            user = "the API key" if given else f"the API key in {folder.root / 'api-key'}"
            print(f"Pages: {address}/ (user name: {user}; no password)", flush=True)
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, timeout_graceful_shutdown=10, ws="none"
            )
            # uvicorn shuts down on these and then raises them again; to be stopped is no failure.
            for signal_number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signal_number, lambda *_: None)
            # What is loaded by now stays: without it, looking for garbage costs a request with many rows a third less.
            gc.collect()
            gc.freeze()
            try:
                uvicorn.Server(config).run(sockets=[listener])
            finally:
                gc.unfreeze()
    return 0


def _coverage(_: argparse.Namespace) -> int:
    from airflow_provider_nucleus.local.contract import coverage_page
    from airflow_provider_nucleus.local.routes.all_routes import all_routes

    print(coverage_page(all_routes()), end="")
    return 0


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


if __name__ == "__main__":
    raise SystemExit(main())
