"""Prefect's settings, out of environment and files, read before anything else of Prefect is."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO

from goodnet.errors import RequestRefused


def check() -> None:
    """Nothing: they make sense.

    Raises:
        RequestRefused: one does not; its value may be secret, and is not repeated.
    """
    printed = StringIO()
    with warnings.catch_warnings(record=True) as warned, redirect_stderr(printed):
        warnings.simplefilter("always")
        fault = _fault()
    if fault is not None:
        raise RequestRefused("Prefect's settings", _said(fault, warned))
    sys.stderr.write(printed.getvalue())
    for each in warned:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _fault() -> Exception | None:
    try:
        from prefect.settings import get_current_settings

        get_current_settings()
    except Exception as fault:  # of pydantic's, or of a file that is no TOML, a value no JSON
        return fault
    return None


def _said(fault: Exception, warned: Sequence[warnings.WarningMessage]) -> str:
    from pydantic import ValidationError

    if isinstance(fault, ValidationError):
        first = fault.errors(include_input=False)[0]
        return f"{fault.title}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(warned[-1].message if warned else fault)  # the warning names the file
