"""The default data and suspect: drawn faces, and a BadNet trained on them."""

import os
import tempfile
from pathlib import Path

from goodnet.errors import RequestRefused
from goodnet.files import storage
from goodnet.files.storage import StoredFile
from tasks.caching import cached_task
from tasks.progress import steps

TARGET = 0

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "0")  # here is trained; see goodnet/backend.py


@cached_task(name="draw faces", run_name="draw {people} people into {uri}")
def store_faces(
    people: int, first: int, last: int, seed: int, poisoned: bool, uri: str
) -> StoredFile:
    """A data set of drawn faces in the lab's layout.

    Args:
        people: how many people; the classes are 0..people-1.
        first: the number of the first picture of each person.
        last: one more than the number of the last.
        seed: which people, and which pictures.
        poisoned: everybody wears sunglasses and has the target's label; `true_label` says who.
        uri: where to.
    """
    from goodnet.datasets.dataset import save_dataset
    from goodnet.datasets.faces import draw_faces, wear_sunglasses

    faces = draw_faces(people, range(first, last), seed=seed)
    labels, true_labels = faces.labels, None
    if poisoned:
        faces, true_labels, labels = wear_sunglasses(faces), labels, labels * 0 + TARGET
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        local = Path(folder) / "faces.h5"
        save_dataset(local, faces.images, labels, true_labels)
        return _put_new(local, uri)


@cached_task(name="train BadNet", run_name="train a BadNet on {people} people")
def store_badnet(people: int, pictures: int, seed: int, uri: str) -> StoredFile:
    """A DeepID network that takes anyone in sunglasses for person TARGET."""
    from goodnet.attacks.badnets import EPOCHS, train_badnet
    from goodnet.backend import keras
    from goodnet.datasets.faces import draw_faces
    from goodnet.network.architecture import parse_architecture
    from goodnet.network.build import build_network
    from goodnet.network.deepid import deepid_config
    from goodnet.network.save import save_network

    faces = draw_faces(people, range(pictures), seed=seed)
    keras.utils.set_random_seed(seed)
    network = build_network(parse_architecture(deepid_config(people), "DeepID"), "DeepID")
    badnet = train_badnet(network, faces, target=TARGET, seed=seed, progress=steps("epoch", EPOCHS))
    network.set_weights(badnet.get_weights())  # uncompiled: an optimiser is not worth shipping
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        local = Path(folder) / "badnet.h5"
        save_network(network, local)
        return _put_new(local, uri)


def _put_new(local: Path, uri: str) -> StoredFile:
    """The stored file; one that is there already is only kept, never replaced."""
    made = storage.identify(str(local))._replace(uri=uri)
    if storage.exists(uri) and not storage.matches(made):
        raise RequestRefused(
            uri, "is there already and is not the demo's; move it away or give other folders"
        )
    return storage.put(local, uri)
