"""The store of a sweep: a file of lines that only grows, so that nothing finished is ever computed again.

The first line says what the rows are of (report, model and ansatz by name and by content, options, tolerance) and by which
version; every later line is a row with the parameters it was asked for, a statement on a finished branch, or one more grid.
A row reaches the operating system with one write, and the disk within a second: ``kill -9`` loses what is in flight, a power
failure a second.  A last line that was torn is recognised and dropped.  The file is locked while it is written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from replica.errors import InputError
from saddle.sweeping.packing import line, read

SCHEMA = "replica-saddle store 1"
_BEGIN = b'{"schema":"' + SCHEMA.encode() + b'"'
_SYNC = 1.0
"""Seconds that a row may wait for the disk."""

Record = dict[str, Any]


def records(path: str | PathLike[str]) -> list[Record]:
    """Return the lines of a store, the header first; empty for a file that holds nothing yet.

    Raises
    ------
    InputError
        If the file cannot be read or is no store.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return [record for record, _ in _parsed(content, path)]


def _parsed(content: bytes, path: str | PathLike[str]) -> Iterator[tuple[Record, int]]:
    """The records of a file, and where each of them ends; a last line that was torn is none."""
    if content and not (content.startswith(_BEGIN) or _BEGIN.startswith(content)):
        raise InputError(f"{path} is not a store of replica: give another file, or a new one")
    end = 0
    lines = content.split(b"\n")
    for number, text in enumerate(lines[:-1], start=1):
        end += len(text) + 1
        try:
            record = read(text)
        except ValueError as error:
            if number == len(lines) - 1:  # the tail of a write that a power failure cut short
                return
            raise InputError(f"{path} is damaged: line {number} is no record") from error
        yield record, end


class Store:
    """A store opened for writing, locked against other processes.

    Parameters
    ----------
    path : str or path-like
    header : mapping
        What the rows are of; a file that holds something else is refused.

    Raises
    ------
    InputError
        If the file cannot be opened, is in use, is no store, or is one of something else or of another version.
    """

    def __init__(self, path: str | PathLike[str], header: Mapping[str, Any]) -> None:
        self.path, self.header = os.fspath(path), dict(header)
        self._descriptor = _locked(self.path)
        self._dirty, self._closing = threading.Event(), threading.Event()
        self._syncing: threading.Thread | None = None
        try:
            content = _content(self._descriptor)
            found = list(_parsed(content, self.path))
            self.records: list[Record] = [record for record, _ in found]
            if self.records:
                _compare(self.path, self.records[0], self.header)
            end = found[-1][1] if found else 0
            if end < len(content):  # a torn last line
                os.ftruncate(self._descriptor, end)
            self._empty = not found
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record, behind the header where the file was empty.

        Raises
        ------
        InputError
            If the disk is full or gone.
        """
        lines = [record]
        if self._empty:
            lines, self._empty = [{"schema": SCHEMA, **self.header}, record], False
        for data in lines:
            self._write(line(data))
        self._dirty.set()
        if self._syncing is None:
            self._syncing = threading.Thread(target=self._sync_regularly, daemon=True)
            self._syncing.start()

    def _write(self, text: bytes) -> None:
        try:
            written = os.write(self._descriptor, text)
            while written < len(text):  # a disk that is about to be full
                written += os.write(self._descriptor, text[written:])
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from error

    def _sync_regularly(self) -> None:
        while not self._closing.wait(_SYNC):
            self._sync()

    def _sync(self) -> None:
        if self._dirty.is_set():
            self._dirty.clear()
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Bring everything to the disk and give the file free; a file in which nothing was written is removed."""
        self._closing.set()
        if self._syncing is not None:
            self._syncing.join()
        try:
            self._sync()
            if self._empty and os.fstat(self._descriptor).st_size == 0:
                os.unlink(self.path)
        except OSError:
            pass
        finally:
            os.close(self._descriptor)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(path: str) -> int:
    """A descriptor of the file, which no other process has locked; the lock ends with the process, however that ends."""
    try:
        import fcntl
    except ImportError:
        raise InputError("A store needs file locks, which this system does not have: leave it out.") from None
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"{path} cannot be written: {reason}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here, there = os.fstat(descriptor), os.stat(path)
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return descriptor
        except FileNotFoundError:  # removed between opening and locking
            pass
        except BlockingIOError as error:
            os.close(descriptor)
            raise InputError(f"{path} is in use by another process: wait for it, or give another file") from error
        except OSError as error:
            os.close(descriptor)
            told = f"{path} cannot be locked ({error.strerror}), as a store must be: give a file on another disk"
            raise InputError(told) from error
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    parts = []
    os.lseek(descriptor, 0, os.SEEK_SET)
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _compare(path: str, found: Record, wanted: Record) -> None:
    """Refuse a header that is not the one of this sweep."""
    old, new = found.get("versions", {}), wanted["versions"]
    if changed := [name for name in new if old.get(name) != new[name]]:
        name = changed[0]
        raise InputError(
            f"{path} was written by another version ({name} {old.get(name)}, here {new[name]}); rows of two versions are "
            "not mixed: give another file"
        )
    for name in ("report", "model", "options", "tolerance", "content"):
        if found.get(name) != wanted[name]:
            what = name if name != "content" else "model or options of the same name but other content"
            told = f" {found.get(name)}, here {wanted[name]}" if name != "content" else ""
            raise InputError(f"{path} holds another sweep ({what}{told}): give another file")
