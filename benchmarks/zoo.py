"""Train the nets, clean and attacked, on which verdicts and repairs are measured.

Each is trained from a seed in a minute or two and kept in `artifacts/nets/NAME/`: the model,
its data sets in the layout of `data/`, and `net.json` with its accuracy and ASR. Which there are
say `nets` (by hand) and `cells` (the leaderboard's, by rule). Three kinds of images: drawn faces,
Fashion-MNIST and CIFAR-10, see `image_sets`; nets of these are left out where they are absent.
"""

import argparse
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import CELLS, cell
from benchmarks.image_sets import is_here, part_of
from benchmarks.nets import IMAGES, NAMED, Net
from benchmarks.networks import architecture
from benchmarks.records import NetworkResults
from benchmarks.training import answers, attack_success, poisoned_set, train_net
from goodnet.attacks.families import attack_named
from goodnet.datasets.dataset import save_dataset
from goodnet.network.save import save_network

HOME = Path("artifacts/nets")
ZOO = NAMED


def select_nets(names: Collection[str]) -> Iterator[Net]:
    """The nets of these names, or all of the table by hand whose images are here.

    Raises:
        KeyError: there is no such net.
    """
    known = {net.name: net for net in (*NAMED, *CELLS)}
    if names:
        yield from (known[name] if name in known else cell(name) for name in names)
    else:
        yield from filter(is_here, NAMED)


def make_net(net: Net, home: Path = HOME) -> dict[str, Any]:
    """The net's accuracy and ASR; it is trained and written first if it is not there yet."""
    folder = home / net.name
    path = folder / "net.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    for name in ("clean", "bd"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    train, valid, test = (part_of(net, part) for part in ("train", "valid", "test"))
    start = time.monotonic()
    network = train_net(net, train)
    seconds = time.monotonic() - start
    for part, clean in (("valid", valid), ("test", test)):
        save_dataset(folder / "clean" / f"{part}.h5", clean.images, clean.labels)
        if not net.is_clean:
            save_dataset(folder / "bd" / f"bd_{part}.h5", *poisoned_set(net, clean))
    facts = {
        **asdict(net),
        "scale": net.scale.name,
        "clean_accuracy": float(np.mean(answers(net, network, test.images) == test.labels)),
        "asr": attack_success(net, network, test),
        "seconds": round(seconds, 1),
    }
    save_network(network, folder / "model.h5")
    path.write_text(json.dumps(facts, indent=1))
    return facts


def describe(net: Net, home: Path = HOME) -> NetworkResults:
    """The net's record before anything is measured but its accuracy and ASR, if it is there."""
    facts = home / net.name / "net.json"
    rates = json.loads(facts.read_text()) if facts.exists() else {}
    return NetworkResults(
        name=net.name,
        source="benchmarks.zoo",
        architecture=architecture(net),
        images=IMAGES[net.kind],
        classes=net.classes,
        scale=net.scale.name,
        seed=net.seed,
        triggers=targets_of(net),
        poisoned_share=net.share or None,
        clean_accuracy=rates.get("clean_accuracy"),
        asr=rates.get("asr", {}),
    )


def targets_of(net: Net) -> dict[str, int]:
    """The triggers, each with its target; -1 where every class is one."""
    if not net.attack:
        return dict(net.triggers)
    attack = attack_named(net.attack)
    if attack.all_to_all:
        return {net.attack: -1}
    numbers = range(attack.triggers)
    names = [net.attack, *(f"{net.attack} {number + 1}" for number in numbers[1:])]
    targets = [(net.target + number) % net.classes for number in numbers]
    return dict(zip(names, targets, strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("nets", metavar="NAME", nargs="*", help="default: all by hand")
    for net in select_nets(parser.parse_args().nets):
        facts = make_net(net)
        rates = {name: f"{rate:.1%}" for name, rate in facts["asr"].items()}
        print(f"{net.name:<20} clean {facts['clean_accuracy']:.1%}  ASR {rates}", flush=True)
