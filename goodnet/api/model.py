"""A suspect, and images that fit it."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

from goodnet.api.arrays import IN_MEMORY, Arrays, as_file
from goodnet.backend import keras
from goodnet.datasets.class_names import known_names
from goodnet.datasets.dataset import CleanDataset, Dataset, open_clean_dataset, open_dataset
from goodnet.errors import RequestRefused
from goodnet.files import remote
from goodnet.files.data_files import DataSource
from goodnet.files.reading import Part, Reading, parse_keys, parse_resize
from goodnet.job.inputs import (
    CLEAN_TEST,
    CLEAN_VALID,
    POISONED_TEST,
    POISONED_VALID,
    class_names_of,
    locate_data,
    numbered_by,
)
from goodnet.job.own_settings import NOTHING_OWN, OPTIONS, WAYS, OwnSettings, read_settings
from goodnet.job.suspects import locate
from goodnet.network.suspect import Suspect, as_written, open_suspect
from goodnet.preprocessing import Preprocessing, PreprocessingInfo, parse_preprocessing
from goodnet.progress import Progress, no_progress
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import find_preprocessing


class Model:
    """A suspect, opened under every check; no code out of its file is ever run.

    Args:
        suspect: the opened file.
        layer: the layer that is pruned, or "auto": the last pooling layer before the class scores.
        preprocessing: what is done to pixels before the network sees them, by name or numbers, see
            `parse_preprocessing`; "auto" to find it by means of clean images.
        own: what came with the suspect and is used: settings, and names of its classes.
        uri: what it is called by, if not by its file.
        data: a folder that its settings may point into, beside its own.

    Attributes:
        suspect: the opened file, with its network.
        uri, own: as above.
        layer_request: the layer to prune, or "auto".
        preprocessing_request: as above.
        preprocessing_info: the preprocessing and what it was found by; None before clean images
            are loaded.
        folder_names: what clean images that were loaded call the classes, by number; None before.

    Raises:
        RequestRefused: such a preprocessing makes no sense.
    """

    def __init__(
        self,
        suspect: Suspect,
        layer: str = "auto",
        preprocessing: str = "auto",
        *,
        own: OwnSettings = NOTHING_OWN,
        uri: str = "",
        data: str = "",
    ) -> None:
        self.suspect, self.layer_request = suspect, layer
        self.own, self.uri, self._data = own, uri or suspect.source, data
        self.preprocessing_request = preprocessing
        self.preprocessing_info: PreprocessingInfo | None = None
        self.folder_names: tuple[str, ...] | None = None
        self._known = parse_preprocessing(preprocessing)

    @cached_property
    def keras(self) -> keras.Model:
        """The network, in the form that its file has."""
        return as_written(self.suspect, self.suspect.network)

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.suspect.classes

    @cached_property
    def own_sets(self) -> dict[str, DataSource]:
        """The data sets that came with it, by role; none is read.

        Raises:
            InputRefused: they are not where they may be, or there are no clean ones.
            OSError: they could not be listed.
        """
        place = locate(self.uri)
        own = read_settings(place, self._data or place.folder, OPTIONS)
        return locate_data(own.data, "", own.reading) if own.data else {}

    @cached_property
    def layer(self) -> str:
        """The layer that is pruned.

        Raises:
            RequestRefused: there is no such layer, or its channels cannot be pruned.
        """
        return choose_layer(self.suspect.plan, self.layer_request, self.suspect.source)

    @cached_property
    def split(self) -> Split:
        """The network, split at the layer."""
        return Split(self.suspect, self.layer)

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to pixels before the network sees them.

        Raises:
            RequestRefused: it is not known yet: it is found when clean images are loaded.
        """
        if self.preprocessing_info:
            return self.preprocessing_info.preprocessing
        if self._known:
            return self._known
        raise RequestRefused(
            self.suspect.source,
            "its preprocessing is not known yet: load clean images first, or name it",
        )

    @property
    def needs_images(self) -> bool:
        """Whether clean images are needed to know it."""
        return self.preprocessing_info is None and self._known is None

    def settle_preprocessing(
        self, clean: CleanDataset, progress: Progress = no_progress
    ) -> PreprocessingInfo:
        """The preprocessing, found by means of clean images if it was not given; found once.

        Raises:
            RequestRefused: it does not go with the images, or these are answered no better than
                chance with any.
        """
        if self.preprocessing_info is None:
            request, source = self.preprocessing_request, self.suspect.source
            self.preprocessing_info = find_preprocessing(
                self.split, clean, request, source=source, progress=progress
            )
        return self.preprocessing_info

    def __repr__(self) -> str:
        return f"<Model {self.suspect.source}: {self.classes} classes>"


def load_model(
    path: str | Path,
    *,
    architecture: str = "auto",
    layer: str = "auto",
    preprocessing: str = "auto",
    scale: Literal["auto", "raw", "unit"] = "auto",
    data: str | Path | None = None,
) -> Model:
    """A suspect out of a Keras file, rebuilt layer by layer from an allow-list.

    What it brings, in NAME.toml or a folder NAME/ of its own, see models/README.md, is taken where
    an argument says "auto".

    Args:
        path: an HDF5 or .keras file, a SavedModel folder, or a suspect's own folder; a local path
            or an `s3://` URI.
        architecture: for files that hold weights only: "auto", "deepid", or a Keras JSON file.
        layer: the layer to prune, or "auto".
        preprocessing: what is done to pixels before the network sees them: a name, or numbers like
            "mean=104,117,123,std=1,order=bgr"; "auto" finds it when clean images are loaded.
        scale: the same, for the names "raw" and "unit".
        data: a folder that its settings may point into, beside its own.

    Raises:
        ModelRefused: the file is not a classifier that can be opened safely.
        RequestRefused: its settings make no sense.
    """
    place, beside = locate(str(path)), str(data or "")
    asked = {"architecture": architecture, "layer": layer}
    asked["preprocessing"] = scale if preprocessing == "auto" else preprocessing
    explicit = {name for name, value in asked.items() if value != "auto"}
    own = read_settings(place, beside or place.folder, {"data", *WAYS, *explicit})
    options = {**asked, **own.options}
    suspect = open_suspect(place.model, architecture=options.pop("architecture"))
    known_names(own.class_names, (), suspect.classes, suspect.source)
    try:
        return Model(suspect, **options, own=own, uri=place.uri, data=beside)
    except RequestRefused as refused:
        if "preprocessing" in explicit:
            raise
        raise RequestRefused(place.settings, f"{refused.source}: {refused.fault}") from None


@overload
def load_images(
    path: str | Path | Arrays | None,
    model: Model,
    *,
    poisoned: Literal[False] = False,
    part: Part = "whole",
    keys: str = "",
    resize: str = "auto",
) -> CleanDataset: ...


@overload
def load_images(
    path: str | Path | Arrays | None,
    model: Model,
    *,
    poisoned: Literal[True],
    part: Part = "whole",
    keys: str = "",
    resize: str = "auto",
    target: int | None = None,
) -> Dataset: ...


def load_images(
    path: str | Path | Arrays | None,
    model: Model,
    *,
    poisoned: bool = False,
    part: Part = "whole",
    keys: str = "",
    resize: str = "auto",
    target: int | None = None,
) -> Dataset:
    """Labelled images that fit a model; with the first clean ones its preprocessing is found.

    Args:
        path: a folder of class folders, an HDF5 file or an `.npz` archive, see data/README.md; a
            local path or an `s3://` URI; or arrays in memory, (images, labels). None for the
            images that came with the model.
        model: the model.
        poisoned: whether the images carry a trigger, and the attacker's label.
        part: "validation" or "test" for one half of a single set, as a repair splits it; of what
            came with the model, "test" for the test images, else the validation images.
        keys: what images and labels are called in a file, like "X,Y", where that cannot be guessed.
        resize: how images are brought to the network's size, "bilinear" or "nearest,crop" for
            example, see data/README.md; "auto" is bilinear for pictures, and arrays must have that
            size then, as Keras wants it.
        target: the class that all poisoned images lead to, where the set does not say it.

    Raises:
        DataRefused: the file is not such a data set, or does not fit.
        RequestRefused: clean images are answered no better than chance with any
            preprocessing, or no images came with the model.
    """
    reading = Reading(part, parse_keys(keys), parse_resize(resize), target)
    if isinstance(path, tuple):
        with as_file(path) as file:
            images = _open_images(file, model, replace(reading, keys=()), poisoned)
        return replace(images, source=IN_MEMORY)
    if path is None:
        path, reading = _own_set(model, part, poisoned)
    return _open_images(remote.pinned(str(path)), model, reading, poisoned)


def _open_images(path: str, model: Model, reading: Reading, poisoned: bool) -> Dataset:
    """The images in a file or folder; with the first clean ones the preprocessing is found."""
    first = model.folder_names is None and not poisoned
    given = model.own.class_names
    names = class_names_of(path, given) if first else model.folder_names or ()
    path, reading = numbered_by(names, DataSource(path, reading), given)
    fits: dict[str, Any] = {
        "input_shape": model.suspect.input_shape,
        "classes": model.suspect.classes,
        "reading": reading,
    }
    if poisoned:
        return open_dataset(path, **fits)
    clean = open_clean_dataset(path, **fits)
    model.folder_names = model.folder_names or clean.class_names
    if model.needs_images:
        model.settle_preprocessing(clean)
    return clean


def _own_set(model: Model, part: Part, poisoned: bool) -> DataSource:
    """The set of these that came with the model.

    Raises:
        RequestRefused: there is none.
    """
    roles = (POISONED_VALID, POISONED_TEST) if poisoned else (CLEAN_VALID, CLEAN_TEST)
    role = roles[part == "test" or (poisoned and part == "whole")]
    if role not in model.own_sets:
        kind = f"{role} images" if model.own_sets else "images of its own"
        raise RequestRefused(model.uri, f"brings no {kind}; give a path to some")
    return model.own_sets[role]
