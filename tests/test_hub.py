"""Models and data on the Hugging Face hub: a small server speaks what its file system asks for."""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from conftest import Toy

import goodnet
from goodnet.errors import DataRefused, ModelRefused, RequestRefused
from goodnet.files import folders, hub, listings, models, storage
from goodnet.job.inputs import find_data, find_output, glance
from goodnet.job.plan import list_suspects
from goodnet.job.suspects import find_models

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
REPO = "somebody/nets"


class Hub(BaseHTTPRequestHandler):
    """Repositories in a folder; a commit's files are those of its branch."""

    root: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(404, {"error": "not here"})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.asked.append(path)
        parts = path.split("/")
        if parts[0] == "api":
            self.api(parts[1], "/".join(parts[2:4]), parts[4:])
        elif "resolve" in parts:
            place = parts.index("resolve")
            repo, (revision, *inner) = "/".join(parts[:place]), parts[place + 1 :]
            self.file(self.folder(repo.removeprefix("datasets/"), revision), "/".join(inner))
        else:
            self.answer(404, {"error": "not here"})

    def folder(self, repo: str, revision: str) -> Path | None:
        names = {**{c: n for n, c in COMMITS.items()}, **{n: n for n in COMMITS}}
        folder = self.root / repo / names.get(revision, "nowhere")
        return folder if folder.is_dir() else None

    def api(self, kind: str, repo: str, rest: list[str]) -> None:
        if repo == "somebody/secret":
            return self.answer(403, {"error": "gated"}, "GatedRepo")
        if not (self.root / repo).is_dir():
            return self.answer(404, {"error": "none"}, "RepoNotFound")
        verb, revision, *inner = [*rest, "revision", "main"][: max(2, len(rest))]
        folder = self.folder(repo, revision)
        if folder is None:
            return self.answer(404, {"error": "none"}, "RevisionNotFound")
        if verb == "revision":
            return self.answer(200, {"id": repo, "sha": COMMITS[folder.name], "siblings": []})
        base = folder / "/".join(inner)
        if not base.is_dir():
            return self.answer(404, {"error": "none"}, "EntryNotFound")
        deep = "recursive=true" in self.path.lower()
        found = sorted(base.rglob("*") if deep else base.iterdir())
        self.answer(200, [self.entry(folder, each) for each in found])

    def entry(self, folder: Path, path: Path) -> dict[str, Any]:
        is_file, name = path.is_file(), str(path.relative_to(folder))
        oid = hashlib.sha1(path.read_bytes() if is_file else name.encode()).hexdigest()
        size = path.stat().st_size if is_file else 0
        return {"type": "file" if is_file else "directory", "oid": oid, "size": size, "path": name}

    def file(self, folder: Path | None, name: str) -> None:
        if folder is None or not (folder / name).is_file():
            return self.answer(404, {"error": "none"}, "EntryNotFound")
        content = (folder / name).read_bytes()
        first, last = 0, len(content) - 1
        wanted = self.headers.get("Range")
        if wanted:
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("ETag", '"x"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    def answer(self, status: int, said: Any, code: str = "") -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of repositories behind hf://; its `somebody/nets` is empty, at main and v1."""
    handler = type("Served", (Hub,), {"root": tmp_path / "hub", "asked": []})
    for name in COMMITS:
        (tmp_path / "hub" / REPO / name).mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "")
    yield tmp_path / "hub" / REPO
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("hf://a/b/c.h5", ("", "a/b", "main", "c.h5")),
        ("hf://a/b@v1/c/d.h5", ("", "a/b", "v1", "c/d.h5")),
        ("hf://a/b/c/d.h5@v1", ("", "a/b", "v1", "c/d.h5")),
        ("hf://datasets/a/b/c@v1/d", ("datasets", "a/b", "v1", "c/d")),
        ("hf://a/b@v1/me@home.png", ("", "a/b", "v1", "me@home.png")),
        ("hf://a/b", ("", "a/b", "main", "")),
        ("hf://a/b@v1", ("", "a/b", "v1", "")),
    ],
)
def test_a_uri_names_repository_revision_and_file(uri: str, place: tuple[str, ...]) -> None:
    assert hub.split(uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        "hf://",
        "hf://a",
        "hf://a/",
        "hf:///b/c",
        "hf://a@v/b",
        "hf://a/b/../c",
        "hf://a/b//c",
        "hf://a/b@/c",
    ],
)
def test_what_is_none_is_refused(uri: str) -> None:
    with pytest.raises(RequestRefused, match=r"is no hf://user/repo"):
        hub.split(uri)


def test_a_model_and_data_are_taken_and_named_by_their_commit(small: Toy, served: Path) -> None:
    for source, name in ((small.model, "net.h5"), (small.data, "data")):
        target = served / "v1" / name
        target.mkdir() if source.is_dir() else target.write_bytes(source.read_bytes())
        for each in source.rglob("*.h5"):
            inner = target / each.relative_to(source)
            inner.parent.mkdir(parents=True, exist_ok=True)
            inner.write_bytes(each.read_bytes())
    base = f"hf://{REPO}@{COMMITS['v1']}"
    for asked in (f"hf://{REPO}/net.h5@v1", f"hf://{REPO}@v1"):
        assert find_models([asked]) == (f"{base}/net.h5",)
    stored = models.identify(f"hf://{REPO}/net.h5@v1")
    assert stored == models.identify(str(small.model))._replace(uri=f"{base}/net.h5")
    sets = find_data(f"hf://{REPO}/data@v1")
    assert {role: each.uri.removeprefix(base) for role, each in sets.items()} == {
        "clean valid": "/data/clean/valid.h5", "clean test": "/data/clean/test.h5",
        "poisoned valid": "/data/bd/bd_valid.h5", "poisoned test": "/data/bd/bd_test.h5",
    }  # fmt: skip
    listed = [each.uri for each in list_suspects(f"hf://{REPO}@v1", "data")]
    assert listed == [f"hf://{REPO}@v1/net.h5"]
    glance(f"hf://{REPO}/net.h5@v1", "model")
    model = goodnet.load_model(f"hf://{REPO}/net.h5@v1", scale="unit")
    clean = goodnet.load_images(f"hf://{REPO}/data/clean/valid.h5@v1", model)
    file = goodnet.load_images(small.data / "clean" / "valid.h5", model)
    np.testing.assert_array_equal(clean.pixels, file.pixels)
    assert (model.suspect.source, clean.source) == (
        f"{base}/net.h5",
        f"{base}/data/clean/valid.h5",
    )


def test_class_folders_are_listed_and_read(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cat/1.png", "cat/me@home.png", "dog/inner/2.png", "notes.txt"):
        (served / "main" / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (served / "main" / "set" / name).write_bytes(name.encode() * 9)
    uri = f"hf://{REPO}/set"
    monkeypatch.setattr(hub, "BLOCK", 50)
    pinned = hub.pinned(uri)
    assert pinned == f"hf://{REPO}@{COMMITS['main']}/set"
    assert listings.children(pinned) == (["notes.txt"], ["cat", "dog"])
    assert folders.identify(pinned).sha256 == folders.identify(str(served / "main/set")).sha256
    assert listings.is_folder(pinned) and not listings.is_folder(f"{pinned}/none")
    assert listings.children(f"{pinned}/none") == ([], [])


def test_what_is_not_there_is_said_in_a_line(served: Path) -> None:
    (served / "main" / "net.h5").write_bytes(b"x")
    with pytest.raises(ModelRefused, match=r"none\.h5: no such file$"):
        models.identify(f"hf://{REPO}/none.h5")
    for uri, fault in (
        (f"hf://{REPO}/net.h5@v9", "has no revision 'v9'"),
        ("hf://nobody/nets/net.h5", "no such repository, or a private one"),
        ("hf://somebody/secret/net.h5", "is gated"),
    ):
        with pytest.raises(RequestRefused, match=f"{uri}: {fault}"):
            models.identify(uri)
    with pytest.raises(DataRefused, match="has no clean/valid"):
        find_data(f"hf://{REPO}/nothing")
    with pytest.raises(RequestRefused, match="is on the hub, which is only read"):
        find_output(f"hf://{REPO}/out")
    with pytest.raises(RequestRefused, match="only read"):
        storage.put(b"x", f"hf://{REPO}/out/x")


def test_without_a_network_or_the_extra_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OSError, match=r"hf://a/b/net\.h5: the hub failed: ") as fault:
        models.identify("hf://a/b/net.h5")
    assert "\n" not in str(fault.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(RequestRefused, match=r"extra \[hf\]: pip install 'goodnet\[hf\]'"):
        models.identify("hf://a/b/net.h5")
