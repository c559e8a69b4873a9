"""Files of this machine that rows name: images below one folder that the caller named, and nothing else.

Rows come from anywhere; who writes them must not choose which files of a worker travel to a server. So a location leads to a file
only below a root that is an argument, after every link was followed, and only if its bytes begin as an image. A file is opened
from the root down, folder by folder, and no link is followed on that way: what was put there since it was looked at is refused.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote_to_bytes, urlsplit

from airflow_provider_nucleus.client.content import FileContent
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError, NucleusValidationError
from airflow_provider_nucleus.image_bytes import HEAD, IMAGES, PNG, image_format

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LocalFiles", "local_path"]

_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Not blocking, because opening a pipe would wait for somebody who writes into it."""

_DRIVE: Final = re.compile(r"[A-Za-z]:")


def local_path(location: str) -> str:
    """Return the path that a plain path or a `file:` address names; ValueError when that is not on this machine."""
    if _DRIVE.match(location):
        raise ValueError("it names a drive, which this machine has none of")
    parts = urlsplit(location)
    if parts.scheme != "file":
        return location
    if parts.netloc.lower() not in {"", "localhost"}:
        raise ValueError(f"it is a file of another machine, {parts.netloc!r}")
    if parts.query or parts.fragment:
        raise ValueError("? and # of a file's name must be percent-encoded in an address")
    return os.fsdecode(unquote_to_bytes(parts.path))


class LocalFiles:
    """The files that rows of one kind may name: images below `root`, none when it is None.

    `root` is followed to where it leads once, now: it may be a link, for its name comes from the caller. Relative locations are
    below it; one that begins with it, is absolute or a `file:` address is taken as it stands.
    """

    def __init__(self, root: str | os.PathLike[str] | None, *, masks: bool = False) -> None:
        self._argument = "mask_folder" if masks else "image_folder"
        self._formats = PNG if masks else IMAGES
        self._named = None if root is None else self._folder(os.fspath(root))
        self._root = None if self._named is None else "/" + os.path.realpath(self._named or "/").lstrip("/")

    def _folder(self, root: str) -> str:
        """Return how the root is named, without slashes at its end; NucleusConfigError when it is none of this machine."""
        try:
            path = local_path(root)
            if not path:
                raise ValueError("it is empty")
        except ValueError as error:
            raise NucleusConfigError(
                f"{self._argument} {root!r} is no folder of this machine: {error}.", field=self._argument
            ) from None
        return path.rstrip("/")

    def require_folder(self) -> None:
        """Raise NucleusConfigError if there is a root and it is not there: every file would be missing, for one reason."""
        if self._root is None or (root := Path(self._root)).is_dir():
            return
        wrong = "is not a folder" if root.exists() else "does not exist"
        if (self._named or "").startswith("~"):
            wrong += ": ~ is not expanded, write the full path"
        raise NucleusConfigError(
            f"{self._argument} {self._named!r} {wrong}.",
            field=self._argument,
            hint="It is looked for on the machine that uploads (the worker), from its working directory when it is relative.",
        )

    def check(self, field: str, location: str) -> None:
        """Raise NucleusValidationError, for the field of a row, unless a location leads to an image that can be sent."""
        try:
            self._open(location).close()
        except (OSError, ValueError) as error:
            raise NucleusValidationError(field, f"cannot be sent: {error}") from None

    def content(self, location: str) -> FileContent:
        """Describe the image that a location leads to; it is looked at again whenever it is opened.

        NucleusSourceError when it is not there (any more), or is not what may be sent.
        """
        with self._opened(location) as file:
            size = os.fstat(file.fileno()).st_size
        return FileContent(open=lambda: self._opened(location, size=size), size=size, name=location)

    def _opened(self, location: str, *, size: int | None = None) -> BinaryIO:
        try:
            file = self._open(location)
        except (OSError, ValueError) as error:
            raise NucleusSourceError(f"cannot be sent: {error}", source=location) from error
        if size not in {None, os.fstat(file.fileno()).st_size}:
            file.close()
            raise NucleusSourceError("cannot be sent: it changed while it was being sent", source=location)
        return file

    def _open(self, location: str) -> BinaryIO:
        """Open the image that a location leads to, at its first byte; OSError or ValueError says why it may not be sent."""
        descriptor = _descriptor(*self._below(location))
        try:
            self._require_image(descriptor, location)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def _require_image(self, descriptor: int, location: str) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{location!r} is not a file")
        head = os.pread(descriptor, HEAD, 0)
        if not head:
            raise ValueError(f"{location!r} is empty")
        if image_format(head, self._formats) is None:
            raise ValueError(f"{location!r} does not begin as an image does ({', '.join(self._formats)})")

    def _below(self, location: str) -> tuple[str, Sequence[str]]:
        """Return the root and the names on the way from it to where a location leads, without links."""
        if self._named is None or self._root is None:
            raise ValueError(
                f"{location!r} is a file of this machine, of which none is read unless {self._argument} "
                "(local_root in a script) names the folder it lies in"
            )
        path = local_path(location)
        if not path.startswith(("/", f"{self._named}/")):
            path = f"{self._named}/{path}"
        leads = os.path.realpath(path)
        if os.path.commonpath([self._root, leads]) != self._root:
            where = "" if leads == location else f": it leads to {leads!r}"
            raise ValueError(f"{location!r} leads out of {self._argument} {self._named or '/'}{where}")
        return self._root, os.path.relpath(leads, self._root).split("/")


def _descriptor(root: str, names: Sequence[str]) -> int:
    """Open a file below *root* without following a link on the way: one that is there now was not when the way was looked up."""
    folder = os.open(root, _FOLDER)
    try:
        for name in names[:-1]:
            inner = os.open(name, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(names[-1], _FILE, dir_fd=folder)
    except OSError as error:
        raise OSError(error.errno, _problem(error), "/".join(names)) from None
    finally:
        os.close(folder)


def _problem(error: OSError) -> str:
    """Say what is wrong; that of a link speaks of too many of them."""
    return (
        "It is a link that leads nowhere, or became one"
        if error.errno == errno.ELOOP
        else str(error.strerror)
    )
