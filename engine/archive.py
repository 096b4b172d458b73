"""A checkpoint's folder as a tar, written while it is sent."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from starlette.responses import StreamingResponse

READ_BYTES = 1 << 20


def tar_response(folder: Path, name: str) -> StreamingResponse:
    """The files of ``folder``, at the top of the archive, in the order of their names.

    They are opened first, so that what was begun can be finished whatever happens to the checkpoint meanwhile.
    """
    with ExitStack() as opening:
        files = [
            (path.name, opening.enter_context(path.open("rb")))
            for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.startswith(".")
        ]
        held = opening.pop_all()
    headers = []
    size = 2 * tarfile.BLOCKSIZE
    for file_name, file in files:
        entry = tarfile.TarInfo(file_name)
        status = os.fstat(file.fileno())
        entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), 0o644
        header = entry.tobuf(tarfile.GNU_FORMAT)
        headers.append((header, entry.size))
        size += len(header) + entry.size + _padding(entry.size)

    def content() -> Iterator[bytes]:
        with held:
            for (_, file), (header, length) in zip(files, headers, strict=True):
                yield header
                left = length
                while left:
                    block = file.read(min(left, READ_BYTES))
                    if not block:
                        raise OSError(f"{name}: a file of the checkpoint became shorter while it was sent")
                    left -= len(block)
                    yield block
                yield bytes(_padding(length))
            yield bytes(2 * tarfile.BLOCKSIZE)

    headers_out = {"content-length": str(size), "content-disposition": f'attachment; filename="{name}.tar"'}
    return StreamingResponse(content(), media_type="application/x-tar", headers=headers_out)


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE
