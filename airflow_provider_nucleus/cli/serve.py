"""The sub-command `nucleus-local serve`."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.cli.arguments import whole_number

if TYPE_CHECKING:
    import argparse

    from airflow_provider_nucleus.local.datadir import DataDir

__all__ = ["add_parser"]

log = logging.getLogger(__name__)
_ENDS_WITHIN: Final = 25.0
"""Seconds from the signal to the end, at most: less than a container is given."""


def add_parser(commands: Any) -> None:
    """Add the sub-command to the parser of `nucleus-local`."""
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


def _serve(options: argparse.Namespace) -> int:
    # Imported here so that --help needs no extra.
    import uvicorn

    from airflow_provider_nucleus.local.datadir import DataDir
    from airflow_provider_nucleus.local.http.bounded_headers import bounded_protocol
    from airflow_provider_nucleus.local.server import create_app
    from airflow_provider_nucleus.local.settings import Settings

    # Whatever is written from here on, by whichever library, is for the owner alone.
    os.umask(0o077)
    # Checked before a directory is made.
    given = options.api_key or os.environ.get("NUCLEUS_LOCAL_API_KEY")
    settings = Settings.from_environment(api_key=given) if given else None
    with DataDir(options.data_dir) as folder:
        settings = settings or Settings.from_environment(api_key=folder.stored_key())
        try:
            listener = socket.create_server((options.host, options.port), family=_family(options.host))
        except OSError as error:
            print(f"nucleus-local: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
            return 2
        with listener:
            app = create_app(folder, settings=settings)
            _introduce(options.host, listener.getsockname()[1], folder, stored=not given)
            config = uvicorn.Config(
                app,
                http=bounded_protocol(),
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=10,
                ws="none",
            )
            # uvicorn shuts down on these and then raises them again; to be stopped is no failure.
            for signal_number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signal_number, lambda *_: None)
            # What is loaded by now stays: without it, looking for garbage costs a request with many rows a third less.
            gc.collect()
            gc.freeze()
            server = uvicorn.Server(config)
            _end_in_time(server)
            try:
                server.run(sockets=[listener])
            finally:
                gc.unfreeze()
    return 0


def _introduce(host: str, port: int, folder: DataDir, *, stored: bool) -> None:
    """Print where the server is and how one gets its key; never the key, because this is a log."""
    from airflow_provider_nucleus.local.server import API_PREFIX

    everywhere = _is_every_address(host)
    if everywhere:
        host = "::1" if ":" in host else "127.0.0.1"
    bracketed = f"[{host}]" if ":" in host else host
    address = f"http://{bracketed}:{port}"
    print(f"Nucleus listens on {address}{API_PREFIX}", flush=True)
    if everywhere:
        print(
            f"Warning: it listens on every address of this machine, without encryption. Others reach it at "
            f"http://{_own_address()}:{port}{API_PREFIX}; put a proxy with https before it, or leave --host out.",
            flush=True,
        )
    if stored:
        print(f"API key: nucleus-local keys show --data-dir {folder.root} prints it", flush=True)
    user = f"the API key in {folder.root / 'api-key'}" if stored else "the API key"
    print(f"Pages: {address}/ (sign in with {user})", flush=True)


def _end_in_time(server: Any) -> None:
    """Have a server that was told to end do so, whatever is in its way: what is committed is on disk, jobs go on at the next start."""
    handle_exit = server.handle_exit

    def handle(signal_number: int, frame: Any) -> None:
        timer = threading.Timer(_ENDS_WITHIN, _end)
        timer.daemon = True
        timer.start()
        handle_exit(signal_number, frame)

    server.handle_exit = handle


def _end() -> None:
    log.warning(
        "ended after %s s with work in its way; unfinished jobs go on at the next start", _ENDS_WITHIN
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _is_every_address(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _own_address() -> str:
    """Return the address that others most likely reach this machine at."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Sends nothing: only the route is looked up, to an address that is nobody's.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
