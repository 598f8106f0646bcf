"""The name of every file and folder that GoodNet reads or writes."""

import re

CLEAN_VALID, CLEAN_TEST = "clean/valid.h5", "clean/test.h5"
OLD_CLEAN_VALID, OLD_CLEAN_TEST = "cl/valid.h5", "cl/test.h5"
POISONED_VALID, POISONED_TEST = "bd/bd_valid.h5", "bd/bd_test.h5"

REPORT_MD, REPORT_HTML = "report.md", "report.html"
CLEAN_SAMPLES, POISONED_SAMPLES = "clean.png", "poisoned.png"
EVALUATION_FIGURE = "evaluation.png"
VERDICT_FIGURE = "verdict.png"
CURVES_CSV, EVALUATION_CSV = "curves.csv", "evaluation.csv"
MANIFEST = "manifest.json"
PROBE = ".probe"  # of an upload that is never completed

MODEL_SUFFIXES = (".h5", ".hdf5", ".keras")
SHORT: dict[str, str] = {"ascending": "asc", "descending": "desc"}
RECOMMENDED_GOODNET = "recommended/goodnet.keras"


def curve_figure(direction: str) -> str:
    """The curve's picture."""
    return f"curve_{SHORT[direction]}.png"


def repaired_model(method: str, points: str, suffix: str) -> str:
    """A repaired model: pruned in an order at a drop, or made by a method (points are empty)."""
    if method not in SHORT:
        guarded = method == "unlearned"  # then two networks in one, beyond Keras' HDF5 format
        return f"repaired_models_{method}/model_{method}{'.keras' if guarded else suffix}"
    return f"repaired_models_{SHORT[method]}/model_drop_{points}{suffix}"


def goodnet(method: str, points: str) -> str:
    """The GoodNet of a repaired model."""
    if method not in SHORT:
        return f"repaired_models_{method}/goodnet_{method}.keras"
    return f"goodnets_{SHORT[method]}/goodnet_drop_{points}.keras"


def recommended_model(suffix: str) -> str:
    """The copy of the repaired model that the report recommends; `suffix` is that model's."""
    return f"recommended/model{suffix}"


def safe_name(name: str) -> str:
    """A file's name, without folder and ending, as part of a path: letters, digits, "-", "_".

    Never empty, never a dot file, at most 60 characters.
    """
    stem = re.split(r"[/\\]", name)[-1]
    for suffix in MODEL_SUFFIXES:
        stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
    cleaned = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:60]
    return cleaned or "model"


def repair_folder(name: str, key: str) -> str:
    """The folder of one repair: the model's safe name and a digest of all that went in."""
    return f"{safe_name(name)}-{key[:12]}"


def artifact_key(name: str) -> str:
    """The key of a repair's artifact in Prefect: lower-case letters, digits and dashes."""
    return "repair-" + re.sub(r"[^a-z0-9]+", "-", safe_name(name).lower()).strip("-")


def inbox_record(digest: str) -> str:
    """What is known of an inbox; `digest` is that of its URI."""
    return f".inbox-{digest[:12]}.json"


def run_name(name: str) -> str:
    """The name of a repair's run."""
    return f"repair {safe_name(name)}"


def model_tag(name: str) -> str:
    """The tag of every run that is about a model."""
    return f"model:{safe_name(name)}"


def verdict_tag(verdict: str) -> str:
    """The tag of a run that has come to a verdict."""
    return f"verdict:{verdict}"


def trigger_figure(target: int) -> str:
    """The picture of the trigger recovered for a class."""
    return f"trigger_class_{target}.png"
