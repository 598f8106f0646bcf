"""Files that are opened only where they are regular ones: no link, pipe or device."""

import os
import stat
from pathlib import Path
from typing import Any

from goodnet.errors import InputRefused


def open_regular(path: Path, refused: type[InputRefused] = InputRefused) -> Any:
    """The opened file, which is a regular one and no symbolic link.

    Raises:
        InputRefused: it is missing, a link, a folder, a pipe or a device.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise refused(path, "no such file") from None
    except (OSError, ValueError) as fault:
        if Path(path).is_symlink():
            raise refused(path, "is a symbolic link; give the file itself") from None
        raise refused(path, f"cannot be opened ({getattr(fault, 'strerror', fault)})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refused(path, "is not a regular file")
    return os.fdopen(descriptor, "rb")
