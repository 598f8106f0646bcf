"""The leaderboard's nets follow from their names, and are evenly spread."""

import zlib
from collections import Counter

import pytest

from benchmarks.cells import CELLS, RATIOS, SETTINGS, cell
from benchmarks.nets import NAMED
from goodnet.attacks.families import ATTACKS


def test_a_net_is_what_its_name_says() -> None:
    net = cell("cifar10_vgg_wanet_strong_05_2")
    assert (net.kind, net.form, net.attack, net.share) == ("cifar10", "vgg", "wanet_strong", 0.005)
    assert net.seed == zlib.crc32(net.name.encode()) // 2 * 2
    assert 0 <= net.target < net.classes == 10
    clean = cell("faces_deepid_clean_101")
    assert clean.is_clean and clean.share == 0 and not clean.form


@pytest.mark.parametrize(
    "name",
    [
        "cifar10", "cifar10_vgg_none_1_1", "cifar10_vgg_patch_2_1", "cifar10_deepid_patch_1_1",
        "cifar10_vgg_glasses_1_1", "cifar10_resnet_pruning_aware_1_1", "fashion_cnn_clean_x",
        "_____", "cifar10_vgg_patch_1", "fashion_cnn_gotham_1_1",
    ],
)  # fmt: skip
def test_a_name_of_no_net_is_refused(name: str) -> None:
    with pytest.raises(KeyError, match=f"no net is called {name}"):
        cell(name)


def test_nets_of_an_odd_seed_are_for_choosing_and_no_other() -> None:
    assert all(net.half == ("tune" if net.seed % 2 else "held out") for net in CELLS)


def test_halves_attacks_and_ratios_are_evenly_spread() -> None:
    """As many clean nets as attacked ones; each attack on each network it fits in both halves."""
    kinds = Counter((net.half, net.is_clean) for net in CELLS)
    assert max(kinds.values()) - min(kinds.values()) <= len(SETTINGS)
    attacked = [net for net in CELLS if not net.is_clean]
    assert len(attacked) * 2 == len(CELLS)
    shares = Counter((net.half, net.share) for net in attacked)
    assert set(shares) == {(half, s) for half in ("tune", "held out") for s in RATIOS.values()}
    assert max(shares.values()) - min(shares.values()) <= 3
    both = Counter((net.kind, net.form, net.attack) for net in attacked)
    assert set(both.values()) == {2}
    assert {net.attack for net in attacked} == {a.name for a in ATTACKS} - {"wanet"}
    assert len({net.seed for net in (*CELLS, *NAMED)}) == len(CELLS) + len(NAMED)
    assert len({net.name for net in (*CELLS, *NAMED)}) == len(CELLS) + len(NAMED)


def test_every_beginning_is_mixed() -> None:
    """Whoever measures the first hundred has both halves, all images, most attacks."""
    first = CELLS[:100]
    assert sum(net.is_clean for net in first) == 50
    assert 35 < sum(net.half == "tune" for net in first) < 65
    assert len({(net.kind, net.form) for net in first}) == len(SETTINGS)
    assert len({net.attack for net in first}) > 15
