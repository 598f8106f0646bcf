"""AWS' environment variables that no client can be made of are named in one line."""

from pathlib import Path

import pytest
from object_stores import ENVIRONMENT, free_port

from goodnet.command import main as command
from goodnet.errors import RequestRefused
from goodnet.files import storage


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment for S3 at a port where nobody listens, to be spoilt."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    return monkeypatch


def refusal(uri: str = "s3://bucket/net.h5") -> str:
    """The line that looking for an object ends in."""
    with pytest.raises(RequestRefused) as refused:
        storage.exists(uri)
    (line,) = str(refused.value).splitlines()
    return line


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    "value",
    [
        "127.0.0.1:9000",
        "localhost",
        "ftp://127.0.0.1",
        "http://",
        "http:/127.0.0.1:9000",
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://a b",
        "http://[::1",
    ],
)
def test_an_endpoint_that_is_no_address_is_named_with_its_value(
    aws: pytest.MonkeyPatch, name: str, value: str
) -> None:
    aws.setenv(name, value)
    assert refusal() == f"{name}: {value!r} is no address like http://host:port"


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_credentials_in_an_endpoint_are_refused_and_not_repeated(
    aws: pytest.MonkeyPatch, scheme: str
) -> None:
    aws.setenv("AWS_ENDPOINT_URL", f"{scheme}somebody:secret@127.0.0.1:9000")
    line = refusal()
    assert line.startswith("AWS_ENDPOINT_URL: carries credentials")
    assert "secret" not in line


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_are_none_are_named(
    aws: pytest.MonkeyPatch, content: str | None, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content:
        bundle.write_text(content)
    aws.setenv("AWS_CA_BUNDLE", str(bundle))
    assert refusal().startswith(f"AWS_CA_BUNDLE: {str(bundle)!r} is no file of certificates: ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_PROFILE", "nobody", "The config profile (nobody) could not be found"),
        ("AWS_DEFAULT_REGION", "us east", "region_name 'us east'"),
        ("AWS_SECRET_ACCESS_KEY", None, "missing: AWS_SECRET_ACCESS_KEY"),
        ("AWS_DEFAULTS_MODE", "guess", "guess"),
    ],
)
def test_settings_that_no_client_can_be_made_of_are_refused(
    aws: pytest.MonkeyPatch, name: str, value: str | None, said: str
) -> None:
    """They are not taken for a server that fails: that is tried again, these are not."""
    aws.delenv(name, raising=False) if value is None else aws.setenv(name, value)
    line = refusal()
    assert line.startswith("AWS settings: ")
    assert said in line


def test_an_endpoint_out_of_a_file_that_is_no_address_is_one_line(
    aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = 127.0.0.1:9000\n")
    aws.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    aws.delenv("AWS_ENDPOINT_URL")
    assert refusal() == "s3://bucket/net.h5: Invalid endpoint: 127.0.0.1:9000"


def test_storing_is_refused_as_looking_is(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_ENDPOINT_URL", "localhost")
    with pytest.raises(RequestRefused, match=r"^AWS_ENDPOINT_URL: "):
        storage.put(b"content", "s3://bucket/file")


def test_the_command_ends_in_that_line(
    aws: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    arguments = ["inspect", "--verdict", "none.h5", "--data", "s3://bucket/data"]
    assert command.main(arguments) == command.REFUSED
    assert capsys.readouterr().err.splitlines() == [
        "AWS_ENDPOINT_URL: '127.0.0.1:9000' is no address like http://host:port"
    ]
