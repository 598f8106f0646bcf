"""The name of every file and folder that GoodNet reads or writes."""

import re

from goodnet.files import formats

CLEAN_VALID, CLEAN_TEST = "clean/valid.h5", "clean/test.h5"
SETTINGS_SUFFIX = ".toml"
OWN_MODEL, OWN_DATA, OWN_SETTINGS = "model", "data", "model.toml"  # in a suspect's own folder
POISONED_VALID, POISONED_TEST = "bd/bd_valid.h5", "bd/bd_test.h5"
# What the sets may be called: a file with any ending of a data set, or a folder of class folders.
VALID_NAMES = ("clean/valid", "cl/valid", "valid", "val", "validation")
TEST_NAMES = ("clean/test", "cl/test", "test", "testing")
TRAINING_NAMES = ("train", "training")  # read only where there is no other
POISONED_VALID_NAMES = ("bd/bd_valid", "poisoned/valid")
POISONED_TEST_NAMES = ("bd/bd_test", "poisoned/test")
LITTER = "__MACOSX"  # a folder that unpacking an archive leaves beside what was packed
POISONED_FOLDERS = ("poisoned", "bd")  # themselves a set, where they hold neither of those

REPORT_MD, REPORT_HTML, REPORT_PDF = "report.md", "report.html", "report.pdf"
CLEAN_SAMPLES, POISONED_SAMPLES = "clean.png", "poisoned.png"
EVALUATION_FIGURE = "evaluation.png"
VERDICT_FIGURE = "verdict.png"
CURVES_CSV, EVALUATION_CSV = "curves.csv", "evaluation.csv"
MANIFEST = "manifest.json"
BOM = "bom.cdx.json"  # the bill of materials, CycloneDX
CLASS_NAMES = "class_names.txt"  # one a line
THUMBNAIL = "thumbnail.webp"  # the evidence in small
INDEX_HTML, INDEX_CSV = "index.html", "index.csv"  # of all repairs, beside their folders
PROBE = ".probe"  # of an upload that is never completed

SHORT: dict[str, str] = {"ascending": "asc", "descending": "desc"}
RECOMMENDED_GOODNET = "recommended/goodnet.keras"
MODEL_CARD = "recommended/README.md"


def curve_figure(direction: str) -> str:
    """The curve's picture."""
    return f"curve_{SHORT[direction]}.png"


def pruned_model(direction: str, points: str, suffix: str) -> str:
    """A model pruned in an order at a drop."""
    return f"repaired_models_{SHORT[direction]}/model_drop_{points}{suffix}"


def pruned_goodnet(direction: str, points: str) -> str:
    """The GoodNet of a model pruned in an order at a drop."""
    return f"goodnets_{SHORT[direction]}/goodnet_drop_{points}.keras"


def mitigated_model(label: str, suffix: str) -> str:
    """A model that a mitigation method made; `label` is what the method calls its models."""
    return f"repaired_models_{label}/model_{label}{suffix}"


def mitigated_goodnet(label: str) -> str:
    """The GoodNet of a model that a mitigation method made."""
    return f"repaired_models_{label}/goodnet_{label}.keras"


def recommended_model(suffix: str) -> str:
    """The copy of the repaired model that the report recommends; `suffix` is that model's."""
    return f"recommended/model{suffix}"


def own_settings(model: str) -> str:
    """The TOML file beside a model."""
    model = model.rstrip("/")
    suffixes = [each for each in formats.suffixes("model") if model.lower().endswith(each)]
    return f"{model[: -len(suffixes[0])] if suffixes else model}{SETTINGS_SUFFIX}"


def safe_name(name: str) -> str:
    """A file's name, without folder and ending, as part of a path: letters, digits, "-", "_".

    Never empty, never a dot file, at most 60 characters.
    """
    stem = re.split(r"[/\\]", name.rstrip("/"))[-1]
    for suffix in formats.suffixes("model"):
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
