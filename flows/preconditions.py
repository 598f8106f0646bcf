"""What a command needs of Prefect, looked at beforehand, and how it says what is at fault."""

import sys
from pathlib import Path

from prefect.client.base import ServerType, determine_server_type
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from goodnet.errors import RequestRefused, fault_line
from goodnet.files import storage

NOTHING_STARTED = 2  # the exit status of whatever is refused beforehand
PATIENCE = 15  # seconds for an answer; a server on a busy machine takes some
API, HOME = "PREFECT_API_URL", "PREFECT_HOME"


def refuse(*faults: Exception) -> int:
    """The exit status, once each fault has been said in a line."""
    for fault in faults:
        print(f"failed: {fault_line(fault)}", file=sys.stderr)
    return NOTHING_STARTED


def check_prefect() -> None:
    """Nothing: there is a server, or one can be started.

    Raises:
        RequestRefused: the server that is set does not answer, or is not one for us; or there is
            none, and the home of one cannot be written to.
    """
    kind = determine_server_type()
    if kind == ServerType.UNCONFIGURED:
        raise RequestRefused(API, "is not set, and Prefect's settings forbid to start a server")
    if kind == ServerType.EPHEMERAL:
        check_home()
    else:
        check_server()


def check_home() -> None:
    """Nothing: the folder of Prefect's database and results is there and can be written to.

    Raises:
        RequestRefused: it cannot.
    """
    home = get_current_settings().home
    _check_folder(HOME, home)
    check_results()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # Prefect does not make what is above it


def check_results() -> None:
    """Nothing: results of tasks can be stored.

    Raises:
        RequestRefused: they cannot.
    """
    settings = get_current_settings()
    folder = Path(settings.results.local_storage_path)
    inside = folder.is_relative_to(settings.home)
    _check_folder(HOME if inside else "PREFECT_RESULTS_LOCAL_STORAGE_PATH", folder)


def _check_folder(setting: str, folder: Path) -> None:
    try:
        storage.check_writable(str(folder))
    except RequestRefused as refused:
        raise RequestRefused(setting, refused) from None


def check_server() -> None:
    """Nothing: a Prefect server of our version answers at the address that is set, and lets us in.

    Raises:
        RequestRefused: it does not.
    """
    start, scheme, rest = PREFECT_API_URL.value().rpartition("://")
    address = start + scheme + rest.rpartition("@")[2]  # without a password
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        try:
            with get_client(sync_client=True, httpx_settings={"timeout": PATIENCE}) as client:
                _ask(client)
        except Exception as fault:  # Prefect's client, HTTP's and JSON's: whatever it is, no server
            raise RequestRefused(API, f"{address}: {_why(fault)}") from None


def _ask(client: SyncPrefectClient) -> None:
    fault = client.api_healthcheck()
    if fault:
        raise fault
    client.raise_for_api_version_mismatch()


def _why(fault: BaseException) -> str:
    fault = fault.__cause__ or fault
    if isinstance(fault, PrefectHTTPStatusError):
        code = fault.response.status_code
        if code not in (401, 403):
            return f"is no Prefect server: it answers {code}"
        wrong = "refuses" if PREFECT_API_AUTH_STRING.value() else "wants"
        return f"the server {wrong} the password, which PREFECT_API_AUTH_STRING says"
    if "incompatible versions" in str(fault):
        return str(fault)
    if isinstance(fault, ValueError | TypeError):  # what it says is no version
        return "is no Prefect server: it answers something else"
    return f"no Prefect server answers: {str(fault) or type(fault).__name__}"
