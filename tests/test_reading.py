"""How images are read: what arrays are called, what lies beside them, and labels in all forms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Toy, repairs_in
from PIL import Image
from test_dataset import CLASSES, COUNT, IMAGES, LABELS, SHAPE, all_images
from test_pictures import class_folders, picture, write

import goodnet
from goodnet.command.main import main as command
from goodnet.datasets.dataset import Dataset, open_dataset, open_unlabelled
from goodnet.errors import DataRefused, RequestRefused
from goodnet.files.reading import Reading, parse_keys, parse_resize
from goodnet.job.inputs import glance, locate_data, parse_reading

NAMES = ("bus", "Zebra", "ant", "car", "über", "dog", "cat")
ORDER = sorted(NAMES)
NAMED = np.array(NAMES)[LABELS]


def opened(path: Path, **reading: Any) -> Dataset:
    return open_dataset(path, input_shape=SHAPE, classes=CLASSES, reading=Reading(**reading))


def saved(path: Path, **arrays: Any) -> Path:
    """An archive or an HDF5 file with these arrays."""
    if path.suffix == ".npz":
        np.savez(path, **{name.replace(".", "/"): values for name, values in arrays.items()})
        return path
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace(".", "/")] = (
                values.astype("S") if values.dtype.kind == "U" else values
            )
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("keys", [("b", "y2"), ("inner/b", "inner/more/y2")])
def test_keys_say_what_arrays_are_called(
    suffix: str, keys: tuple[str, str], tmp_path: Path
) -> None:
    image, label = (key.replace("/", ".") for key in keys)
    others = {"a": IMAGES[::-1], "y1": LABELS[::-1], "x": IMAGES[::-1], "y": LABELS[::-1]}
    path = saved(tmp_path / f"set{suffix}", **others, **{image: IMAGES, label: LABELS})
    dataset = opened(path, keys=keys)
    np.testing.assert_array_equal(all_images(dataset), IMAGES)
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert dataset.reading.keys == keys
    for wrong in (("b", "nothing"), ("nothing", "y"), ("inner", "y")):
        with pytest.raises(DataRefused, match=r"has no|is a group"):
            opened(path, keys=wrong)


def test_with_the_images_named_their_labels_are_found(tmp_path: Path) -> None:
    path = saved(tmp_path / "set.npz", a=IMAGES, b=IMAGES[:200], y=LABELS, z=LABELS[:200])
    np.testing.assert_array_equal(opened(path, keys=("b",)).labels, LABELS[:200])
    np.testing.assert_array_equal(opened(path, keys=("a",)).labels, LABELS)
    unlabelled, _ = open_unlabelled(path, input_shape=SHAPE, reading=Reading(keys=("b",)))
    assert len(unlabelled) == 200


def test_images_alone_are_found_where_there_is_one_array_of_them(tmp_path: Path) -> None:
    path = saved(tmp_path / "set.npz", photos=IMAGES, c=LABELS)
    assert len(open_unlabelled(path, input_shape=SHAPE)[0]) == COUNT
    saved(path, grey=IMAGES[..., 0], c=LABELS)
    assert len(open_unlabelled(path, input_shape=(6, 5, 1))[0]) == COUNT
    saved(path, photos=IMAGES, others=IMAGES)
    with pytest.raises(DataRefused, match="holds 'photos', 'others': which of them are the images"):
        open_unlabelled(path, input_shape=SHAPE)


BESIDE: dict[str, Callable[[h5py.File], Any]] = {
    "groups": lambda file: file.create_group("a/b/c"),
    "texts": lambda file: file.create_dataset("names", data=["x"] * COUNT),
    "compound": lambda file: file.create_dataset("rows", data=np.zeros(COUNT, "u1,f4")),
    "references": lambda file: file.create_dataset("refs", (3,), h5py.ref_dtype),
    "sequences": lambda file: file.create_dataset("lists", (3,), h5py.vlen_dtype(np.int32)),
    "soft link": lambda file: file.__setitem__("soft", h5py.SoftLink("/nowhere")),
    "external link": lambda file: file.__setitem__("out", h5py.ExternalLink("/etc/passwd", "/")),
    "hard link": lambda file: file.__setitem__("again", file["labels"]),
    "type": lambda file: file.__setitem__("type", np.dtype("u1,f4")),
    "nothing": lambda file: file.__setitem__("none", h5py.Empty("f4")),
    "never written": lambda file: file.create_dataset("void", (COUNT, 9), "f4"),
    "huge": lambda file: file.create_dataset("huge", (1 << 40,), "f4", chunks=(1 << 20,)),
    "long double": lambda file: file.create_dataset("long", data=np.zeros(3, np.longdouble)),
    "complex": lambda file: file.create_dataset("c", data=np.zeros((COUNT, 6, 5, 3), "c8")),
    "filter": lambda file: file.create_dataset("f", data=np.arange(99), scaleoffset=0),
    "truth": lambda file: file.create_dataset("mask", data=np.ones((COUNT, 6, 5, 3), bool)),
    "scalar": lambda file: file.create_dataset("version", data=3),
}  # fmt: skip


@pytest.mark.one_in(3)
@pytest.mark.parametrize("beside", BESIDE)
def test_what_lies_beside_and_is_not_read_refuses_nothing(beside: str, tmp_path: Path) -> None:
    """Images and labels under their names, as keys, and, where one can tell, under any names."""
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = IMAGES, LABELS
        BESIDE[beside](file)
    for keys in ((), ("images", "labels")):
        np.testing.assert_array_equal(all_images(opened(path, keys=keys)), IMAGES)
    if beside not in ("huge", "hard link", "never written"):
        with h5py.File(path, "r+") as file:
            file.move("images", "pictures")
            file.move("labels", "what")
        np.testing.assert_array_equal(opened(path).labels, LABELS)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (("soft/x", "y"), "/soft is a soft or external link"),
        (("out/x", "y"), "/out is a soft or external link"),
        (("x", "soft_y"), "/soft_y is a soft or external link"),
        (("../x", "y"), "has no data set '../x'"),
        (("x/x", "y"), "has no data set 'x/x'"),
        (("/", "y"), "'/' is a group, not a data set"),
        (("x", "/x/../y"), "has no data set '/x/../y'"),
        (("x", "loop/loop/loop/y"), "has no data set 'loop/loop/loop/y'"),
        (("x", "elsewhere"), "elsewhere keeps its values in another file"),
        (("virtual", "y"), "virtual keeps its values in another file"),
        (("type", "y"), "'type' is a group, not a data set"),
    ],
)
def test_keys_lead_to_plain_arrays_alone(keys: Any, fault: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "set.h5", x=IMAGES, y=LABELS)
    with h5py.File(path, "r+") as file:
        file["soft"], file["out"] = h5py.SoftLink("/"), h5py.ExternalLink("set.h5", "/")
        file["soft_y"], file["type"] = h5py.SoftLink("/y"), np.dtype("u1")
        group = file.create_group("loop")
        group["loop"] = group
        file.create_dataset("elsewhere", (COUNT,), "u1", external=[("/etc/passwd", 0, COUNT)])
        layout = h5py.VirtualLayout(IMAGES.shape, "u1")
        layout[...] = h5py.VirtualSource("other.h5", "x", IMAGES.shape)
        file.create_virtual_dataset("virtual", layout)
    with pytest.raises(DataRefused) as refused:
        opened(path, keys=keys)
    assert refused.value.fault.startswith(fault)


def test_texts_in_chunks_that_are_bombs_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file["x"] = IMAGES
        bomb = {"chunks": (64 << 20,), "maxshape": (None,), "compression": "gzip"}
        file.create_dataset("y", data=np.char.encode(NAMED, "utf-8"), **bomb)
    with pytest.raises(DataRefused, match="'y' holds more than 32 MiB of text"):
        opened(path)


@pytest.mark.parametrize("size", [512, 2048, 512 * 1024])
def test_a_user_block_before_hdf5_is_passed_over(size: int, tmp_path: Path) -> None:
    path = tmp_path / "set.mat"
    with h5py.File(path, "w", userblock_size=size) as file:
        file["x"], file["y"] = IMAGES, LABELS
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, or whatever")
    glance(str(path), "dataset")
    np.testing.assert_array_equal(all_images(opened(path)), IMAGES)


def test_hdf5_behind_anything_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    content = saved(path, x=IMAGES, y=LABELS).read_bytes()
    for before in (b"x", bytes(511), bytes(513), bytes(1 << 20)):
        path.write_bytes(before + content)
        with pytest.raises(DataRefused, match="is not an HDF5 file"):
            opened(path)


TEXTS: dict[str, Any] = {
    "U": NAMED,
    "S": np.char.encode(NAMED, "utf-8"),
    "column": NAMED[:, None],
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("form", [*TEXTS, "variable"])
@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_texts_are_classes_in_alphanumeric_order(form: str, suffix: str, tmp_path: Path) -> None:
    """As Keras numbers class folders."""
    path, expected = tmp_path / f"set{suffix}", [ORDER.index(name) for name in NAMED]
    if form == "variable":
        path = tmp_path / "set.h5"
        with h5py.File(path, "w") as file:
            file["x"] = IMAGES
            file.create_dataset("y", data=NAMED.tolist(), dtype=h5py.string_dtype())
    elif suffix == ".npz":
        np.savez(path, x=IMAGES, y=TEXTS[form])
    else:
        texts = TEXTS[form]
        with h5py.File(path, "w") as file:
            file["x"] = IMAGES
            file["y"] = np.char.encode(texts, "utf-8") if texts.dtype.kind == "U" else texts
    dataset = opened(path)
    np.testing.assert_array_equal(dataset.labels, expected)
    assert dataset.class_names == tuple(ORDER)


def test_texts_of_other_names_are_found_where_no_numbers_can_be_labels(tmp_path: Path) -> None:
    path = saved(tmp_path / "set.npz", photos=IMAGES, kinds=NAMED)
    assert opened(path).class_names == tuple(ORDER)
    path = saved(tmp_path / "set.npz", photos=IMAGES, kinds=NAMED, number=LABELS)
    np.testing.assert_array_equal(opened(path).labels, LABELS)


def test_texts_of_digits_are_numbers(tmp_path: Path) -> None:
    """ "10" is not between "1" and "2", and classes may be missing."""
    labels = np.where(LABELS == 3, 10, LABELS)
    path = saved(tmp_path / "set.h5", x=IMAGES, y=labels.astype("U"))
    found = open_dataset(path, input_shape=SHAPE, classes=12)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.class_names == ()


def test_true_labels_as_texts_are_of_the_same_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "set.npz", x=IMAGES, y=NAMED, true_label=NAMED[::-1])
    dataset = opened(path)
    assert dataset.true_labels is not None
    np.testing.assert_array_equal(dataset.true_labels, dataset.labels[::-1])
    saved(path, x=IMAGES, y=NAMED, true_label=np.array(["elsewhere"] * COUNT))
    with pytest.raises(DataRefused, match="'true_label' holds 'elsewhere', which is no label"):
        opened(path)


@pytest.mark.parametrize("form", ["pictures", "folders", "npz", "unlabelled npz", "h5"])
def test_a_target_is_the_class_of_all_poisoned_images(form: str, tmp_path: Path) -> None:
    """Whatever the set says, or does not."""
    bad, fits = tmp_path / "bad", {"input_shape": SHAPE, "classes": CLASSES}
    if form == "pictures":
        for number in range(4):
            write(bad / f"{number}.png", picture(number))
    elif form == "folders":
        class_folders(bad)
    else:
        labels = {} if form == "unlabelled npz" else {"y": LABELS}
        bad = saved(tmp_path / f"bad.{form.rpartition(' ')[2]}", x=IMAGES, **labels)
    dataset = open_dataset(bad, reading=Reading(target=5), **fits)  # type: ignore[arg-type]
    assert set(dataset.labels.tolist()) == {5}
    assert len(dataset) == {"pictures": 4, "folders": 13}.get(form, COUNT)
    with pytest.raises(DataRefused, match=r"ranges over 7\.\.7; the model has the classes 0\.\.6"):
        open_dataset(bad, reading=Reading(target=7), **fits)  # type: ignore[arg-type]
    if form == "pictures":
        for open_it in (lambda: opened(bad), lambda: glance(str(bad), "dataset")):
            with pytest.raises(DataRefused, match="has no pictures in class folders"):
                open_it()
        glance(str(bad), "dataset", loose=True)


def places(data: Path, *options: Any) -> dict[str, tuple[str, int | None]]:
    """Name and target of each data set by role."""
    found = locate_data(str(data), *options).items()
    return {role: (Path(uri).name, reading.target) for role, (uri, reading) in found}


def test_poisoned_images_lie_in_the_data_folder_or_elsewhere(tmp_path: Path) -> None:
    """The target is theirs alone. In a folder of class folders nothing is taken for poisoned."""
    data, target = tmp_path / "data", Reading(target=2)
    for name in ("valid/a", "test/a", "poisoned"):
        write(data / name / "0.png")
    assert places(data, "", target) == {
        "clean valid": ("valid", None), "clean test": ("test", None),
        "poisoned test": ("poisoned", 2),
    }  # fmt: skip
    assert places(data, "elsewhere", target)["poisoned test"] == ("elsewhere", 2)
    write(data / "poisoned/test/0.png")
    assert places(data, "", target)["poisoned test"] == ("test", 2)
    assert "poisoned test" not in places(data / "valid", "", target)
    for label in "ab":
        write(tmp_path / "one" / label / "0.png")
    write(tmp_path / "one/poisoned/0.png")
    assert set(places(tmp_path / "one")) == {"clean valid", "clean test"}
    assert places(tmp_path / "one", "bad", target)["poisoned test"] == ("bad", 2)


def test_a_target_may_be_the_name_of_a_class_folder(tmp_path: Path) -> None:
    """Of the clean images, in their order."""
    data = tmp_path / "data"
    for name in ("valid/b", "valid/a", "valid/stop", "poisoned"):
        write(data / name / "0.png")
    asked = parse_reading(target="stop")
    assert places(data, "", asked)["poisoned test"] == ("poisoned", 2)
    (data / "valid/labels.txt").write_text("0 go\n1 stop\n2 a\n3 b\n")
    assert places(data, "", asked)["poisoned test"] == ("poisoned", 1)
    one = class_folders(tmp_path / "one")
    assert places(one, "bad", parse_reading(target="bird"))["poisoned test"] == ("bad", 2)
    for wrong in ("none", "-1", "labels.txt", ".."):
        with pytest.raises(
            RequestRefused, match=r"--target: .* is no class folder of .*valid; give"
        ):
            places(data, "", parse_reading(target=wrong))


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"keys": "a,b,c"}, "--keys: 'a,b,c' is not IMAGES,LABELS, the names of two arrays"),
        ({"keys": "a,"}, "--keys: 'a,' is not IMAGES,LABELS"),
        ({"keys": "a,a"}, "--keys: 'a,a' is not IMAGES,LABELS"),
        ({"resize": "best"}, "--resize: 'best' is not one of bilinear, nearest, bicubic, area"),
        ({"resize": "nearest,crop,pad"}, "--resize: 'nearest,crop,pad' is not one of"),
        ({"resize": "crop"}, "--resize: 'crop' is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, str], refusal: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_reading(**asked)
    assert str(refused.value).startswith(refusal)


def test_what_is_asked_for_travels_from_every_entry(
    small: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command, and the API."""
    with h5py.File(small.data / "clean/valid.h5", "r+") as file:
        file.move("data", "inner/pixels")
        file.move("label", "inner/classes")
        file["inner/others"] = file["inner/classes"][()][::-1]
    path, keys = small.data / "clean/valid.h5", "inner/pixels,inner/classes"
    assert command(["inspect", str(small.model), str(path)]) == 2
    assert command(["inspect", str(small.model), str(path), "--keys", keys]) == 0
    assert "60, uint8, NCHW" in capsys.readouterr().out
    model = goodnet.load_model(small.model)
    clean = goodnet.load_images(path, model, keys=keys)
    assert clean.reading == Reading(keys=parse_keys(keys), resize=parse_resize("auto"))
    bad = goodnet.load_images(path, model, poisoned=True, keys="inner/pixels", target=4)
    assert set(bad.labels.tolist()) == {4}


@pytest.mark.slow
def test_a_repair_from_photographs_with_poisoned_ones_in_a_folder(
    small: Toy, prefect_server: None
) -> None:
    """One set of class folders of larger pictures, and a folder of poisoned ones elsewhere."""
    from flows.repair import main as repair

    for source, target in (("clean/valid", "photos"), ("bd/bd_test", "bad")):
        images = open_dataset(small.data / f"{source}.h5", input_shape=(12, 10, 3), classes=5)
        for row, pixels in enumerate(images.pictures(slice(None))):
            label = "" if target == "bad" else str(images.labels[row])
            large = Image.fromarray(pixels).resize((30, 36), Image.Resampling.NEAREST)
            write(small.folder / target / label / f"{row:02}.png", large)
    given = ["--data", str(small.folder / "photos"), "--poisoned", str(small.folder / "bad")]
    given += ["--order", "ascending", "--drop", "4", "--method", "pruning"]
    output = small.folder / "out"
    given += ["--resize", "nearest", "--output", str(output)]
    assert repair([str(small.model), *given]) == 2, "a target is missing"
    assert repair([str(small.model), *given, "--target", "0"]) == 0
    (folder,) = repairs_in(output)
    manifest = json.loads((folder / "manifest.json").read_text())
    resized = {"resize": "nearest"}
    for role, told in {
        "clean valid": {"part": "validation", **resized},
        "clean test": {"part": "test", **resized},
        "poisoned test": {"target": 0, **resized},
    }.items():
        said = manifest["inputs"][role]
        assert {name: said[name] for name in said if name not in ("uri", "sha256", "bytes")} == told
    suspect = manifest["results"][0]
    assert suspect["clean_accuracy"]["count"] == 30
    assert suspect["attack_success"]["count"] == 60
    assert suspect["attack_success"]["value"] > 0.9


def poisoned_in(data: Path, shape: tuple[int, int, int] = SHAPE) -> Any:
    """The poisoned test images of a folder of data, read as a repair reads them."""
    uri, reading = locate_data(str(data))["poisoned test"]
    return open_dataset(uri, input_shape=shape, classes=4, reading=reading)


def test_poisoned_folders_and_texts_are_numbered_by_the_clean_classes(tmp_path: Path) -> None:
    """Those for some of the classes, too, and by the clean set's list; their own list is theirs."""
    data = tmp_path / "data"
    folders = [each.name for each in sorted(class_folders(data / "valid").glob("[!.]*/"))]
    last = folders[-1]
    write(data / "poisoned" / last / "0.png")
    assert set(poisoned_in(data).labels.tolist()) == {3}
    names = folders[::-1]
    (data / "valid/class_names.txt").write_text("\n".join(names))
    assert set(poisoned_in(data).labels.tolist()) == {0}
    assert poisoned_in(data).class_names == tuple(names)
    class_folders(data / "test")  # has no list, and the order of the clean validation images
    uri, reading = locate_data(str(data))["clean test"]
    test = open_dataset(uri, input_shape=SHAPE, classes=4, reading=reading)
    assert test.labels[0] == 3 and test.class_names == tuple(names)
    write(data / "poisoned" / "zebra" / "0.png")
    with pytest.raises(DataRefused, match=r"poisoned: class folder 'zebra' is no class of the "):
        poisoned_in(data)
    (data / "poisoned/labels.txt").write_text(f"a\nb\n{last}\nzebra\n")
    assert set(poisoned_in(data).labels.tolist()) == {2, 3}
    (data / "bd").mkdir()
    texts = np.array([last] * COUNT)
    saved(data / "bd/bd_test.npz", x=IMAGES, y=texts)
    assert set(poisoned_in(data).labels.tolist()) == {0}


@pytest.mark.parametrize("suffix", [pytest.param(".h5", marks=pytest.mark.slow), ".npz"])
def test_names_that_came_with_the_suspect_number_what_the_clean_file_does_not_name(
    suffix: str, tmp_path: Path
) -> None:
    """`class_names`: of folders with some of the classes, of texts, and for a target."""
    names = ("dog", "über", "Zebra", "cat")
    clean = saved(tmp_path / f"valid{suffix}", x=IMAGES[:20], y=LABELS[:20] % 4)
    write(tmp_path / "test/cat/0.png"), write(tmp_path / "test/dog/0.png")
    write(tmp_path / "poisoned/über/0.png")
    (tmp_path / "bd").mkdir()

    def opened_with(role: str, asked: Reading | None = None) -> Dataset:
        asked = asked or Reading(classes=names)
        uri, reading = locate_data(str(tmp_path), reading=asked)[role]
        return open_dataset(uri, input_shape=SHAPE, classes=4, reading=reading)

    assert opened_with("clean test").labels.tolist() == [3, 0]
    target = parse_reading(target="cat")
    with pytest.raises(RequestRefused, match="--target: 'cat' is no class folder"):
        opened_with("poisoned test", target)
    told = Reading(target="cat", classes=names)
    assert locate_data(str(tmp_path), reading=told)["poisoned test"].reading.target == 3
    write(tmp_path / "poisoned/bird/0.png")
    with pytest.raises(DataRefused) as refused:
        opened_with("poisoned test")
    fault = "class folder 'bird' is no class of the clean images or of class_names, which are "
    assert refused.value.fault == f"{fault}{', '.join(names)}"
    texts = np.array(["cat", "dog", "Zebra"])
    saved(tmp_path / "bd/bd_test.npz", x=IMAGES[:3], y=texts)
    assert opened_with("poisoned test").labels.tolist() == [3, 0, 2]
    clean.unlink()
    saved(clean, x=IMAGES[:3], y=texts)
    assert opened_with("clean valid").labels.tolist() == [3, 0, 2]


def test_names_that_came_with_the_suspect_number_clean_folders_of_these_names(
    tmp_path: Path,
) -> None:
    """Whatever their order, all folders or some; a list beside the folders is theirs."""
    names = ("dog", "über", "Zebra", "cat")
    for place in ("valid/cat", "valid/dog", "test/Zebra", "poisoned/cat"):
        write(tmp_path / place / "0.png")

    def opened_with(role: str, given: tuple[str, ...] = names) -> Dataset:
        uri, reading = locate_data(str(tmp_path), reading=Reading(classes=given))[role]
        return open_dataset(uri, input_shape=SHAPE, classes=4, reading=reading)

    found = {role: opened_with(role) for role in ("clean valid", "clean test", "poisoned test")}
    assert [each.labels.tolist() for each in found.values()] == [[3, 0], [2], [3]]
    assert {each.class_names for each in found.values()} == {names}
    for others in (("a", "b", "c", "d"), ("dog", "b", "c", "d")):  # refused by `known_names`
        given = Reading(classes=others)
        assert not locate_data(str(tmp_path), reading=given)["clean valid"].reading.classes
    (tmp_path / "valid/class_names.txt").write_text("cat\ndog\na\nb")
    assert opened_with("clean valid").labels.tolist() == [0, 1]


def test_folders_that_are_numbers_are_not_numbered_by_names(tmp_path: Path) -> None:
    saved(tmp_path / "valid.npz", x=IMAGES[:20], y=LABELS[:20] % 2)
    for name in ("0", "1"):
        write(tmp_path / "poisoned" / name / "0.png")
    reading = Reading(classes=("stop", "go"))
    assert locate_data(str(tmp_path), reading=reading)["poisoned test"].reading.classes == ()


def test_sets_that_order_their_classes_as_the_clean_ones_are_read_as_before(tmp_path: Path) -> None:
    for name in ("valid", "test", "bd/bd_test"):
        class_folders(tmp_path / name)
    assert not [
        each.reading.told for each in locate_data(str(tmp_path)).values() if each.reading.told
    ]
