"""A suspect, and images that fit it."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

from goodnet.backend import keras
from goodnet.datasets.dataset import CleanDataset, Dataset, open_clean_dataset, open_dataset
from goodnet.errors import RequestRefused
from goodnet.files.reading import Part, Reading, parse_keys, parse_resize
from goodnet.network.graph import choose_layer
from goodnet.network.suspect import Suspect, as_written, open_suspect
from goodnet.preprocessing import Preprocessing, PreprocessingInfo, parse_preprocessing
from goodnet.progress import Progress, no_progress
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import find_preprocessing


class Model:
    """A suspect, opened under every check; no code out of its file is ever run.

    Args:
        suspect: the opened file.
        layer: the layer that is pruned, or "auto": the last pooling layer before the class scores.
        preprocessing: what is done to pixels before the network sees them, by name or numbers, see
            `parse_preprocessing`; "auto" to find it by means of clean images.

    Attributes:
        suspect: the opened file, with its network.
        layer_request: the layer to prune, or "auto".
        preprocessing_request: as above.
        preprocessing_info: the preprocessing and what it was found by; None before clean images
            are loaded.

    Raises:
        RequestRefused: such a preprocessing makes no sense.
    """

    def __init__(self, suspect: Suspect, layer: str = "auto", preprocessing: str = "auto") -> None:
        self.suspect, self.layer_request = suspect, layer
        self.preprocessing_request = preprocessing
        self.preprocessing_info: PreprocessingInfo | None = None
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
) -> Model:
    """A suspect out of a Keras file, rebuilt layer by layer from an allow-list.

    Args:
        path: an HDF5 or .keras file, or a SavedModel folder; a local path or an `s3://` URI.
        architecture: for files that hold weights only: "auto", "deepid", or a Keras JSON file.
        layer: the layer to prune, or "auto".
        preprocessing: what is done to pixels before the network sees them: a name, or numbers like
            "mean=104,117,123,std=1,order=bgr"; "auto" finds it when clean images are loaded.
        scale: the same, for the names "raw" and "unit".

    Raises:
        ModelRefused: the file is not a classifier that can be opened safely.
    """
    suspect = open_suspect(str(path), architecture=architecture)
    return Model(suspect, layer, scale if preprocessing == "auto" else preprocessing)


@overload
def load_images(
    path: str | Path,
    model: Model,
    *,
    poisoned: Literal[False] = False,
    part: Part = "whole",
    keys: str = "",
    resize: str = "bilinear",
) -> CleanDataset: ...


@overload
def load_images(
    path: str | Path,
    model: Model,
    *,
    poisoned: Literal[True],
    part: Part = "whole",
    keys: str = "",
    resize: str = "bilinear",
    target: int | None = None,
) -> Dataset: ...


def load_images(
    path: str | Path,
    model: Model,
    *,
    poisoned: bool = False,
    part: Part = "whole",
    keys: str = "",
    resize: str = "bilinear",
    target: int | None = None,
) -> Dataset:
    """Labelled images that fit a model; with the first clean ones its preprocessing is found.

    Args:
        path: a folder of class folders, an HDF5 file or an `.npz` archive, see data/README.md; a
            local path or an `s3://` URI.
        model: the model.
        poisoned: whether the images carry a trigger, and the attacker's label.
        part: "validation" or "test" for one half of a single set, as a repair splits it.
        keys: what images and labels are called in a file, like "X,Y", where that cannot be guessed.
        resize: how pictures are brought to the network's size, "bilinear" or "nearest,crop" for
            example, see data/README.md.
        target: the class that all poisoned images lead to, where the set does not say it.

    Raises:
        DataRefused: the file is not such a data set, or does not fit.
        RequestRefused: clean images are answered no better than chance with any
            preprocessing.
    """
    fits: dict[str, Any] = {
        "input_shape": model.suspect.input_shape,
        "classes": model.suspect.classes,
        "reading": Reading(part, parse_keys(keys), parse_resize(resize), target),
    }
    if poisoned:
        return open_dataset(path, **fits)
    clean = open_clean_dataset(path, **fits)
    if model.needs_images:
        model.settle_preprocessing(clean)
    return clean
