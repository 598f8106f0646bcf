"""What a process gives up before it opens a file nobody trusts. Linux; elsewhere, what is there.

Landlock: https://docs.kernel.org/userspace-api/landlock.html
"""

import contextlib
import ctypes
import os
import resource
import sysconfig
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET, PR_SET_NO_NEW_PRIVS = 0x10000000, 0x40000000, 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every processor
RULE_PATH_BENEATH = 1
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
TRUNCATE = 1 << 14
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # version of Landlock -> how many rights it knows
ALL_FILE_RIGHTS = 16


class _Ruleset(ctypes.Structure):
    """What is forbidden unless a rule allows it: files, TCP, signals and abstract sockets."""

    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def limit_resources(limits: dict[str, int]) -> list[str]:
    """Set hard limits; the names of those that this system cannot set."""
    missing = []
    for name, value in limits.items():
        try:
            resource.setrlimit(getattr(resource, name), (value, value))
        except (AttributeError, ValueError, OSError):
            missing.append(name)
    return missing


def leave_network() -> list[str]:
    """Give up new privileges and the network; the names of what this system cannot do."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        results = {
            "no_new_privs": libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            "no_network": libc.unshare(CLONE_NEWUSER | CLONE_NEWNET),
        }
        return [name for name, result in results.items() if result != 0]
    return ["no_new_privs", "no_network"]


def leave_files(readable: Path, writable: Path) -> list[str]:
    """Give up all files but these two folders' and Python's own; new programs; TCP; signals.

    The names of what this system cannot do.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        version = libc.syscall(CREATE_RULESET, None, 0, 1)
        if version < 1:
            return ["no_files"]
        rights = (1 << FILE_RIGHTS.get(version, ALL_FILE_RIGHTS)) - 1
        rules = _Ruleset(rights, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
        size = 24 if version >= 6 else 16 if version >= 4 else 8  # bytes of the structure
        ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(rules), size, 0)
        reading = READ_FILE | READ_DIR
        writing = reading | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE
        libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "platlib")}
        allowed = {folder: reading for folder in (readable, *map(Path, libraries))}
        allowed[writable] = writing & rights
        results = [_allow(libc, ruleset, folder, kinds) for folder, kinds in allowed.items()]
        results.append(libc.syscall(RESTRICT_SELF, ruleset, 0))
        os.close(ruleset)
        if not any(results):
            return []
    return ["no_files"]


def _allow(libc: ctypes.CDLL, ruleset: int, folder: Path, kinds: int) -> int:
    """0 where the rights were granted."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    rule = _PathBeneath(kinds, descriptor)
    result = libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(descriptor)
    return int(result)
