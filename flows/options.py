"""The options of `python -m flows.repair` and `python -m flows.watch`."""

import argparse

from goodnet.files.reading import METHODS as RESIZE
from goodnet.job.request import METHOD_CHOICES, ORDERS
from goodnet.preprocessing import NAMES


def parser_of_repair() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.repair", description="Repair suspect image classifiers."
    )
    files = "model files or folders"
    parser.add_argument("models", metavar="MODEL", nargs="*", default=["models"], help=files)
    add_options(parser)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a repair is asked for beside the models, by the names of the flow's parameters."""
    add = parser.add_argument
    add("--data", default="data", help="folder with valid/ and test/, or one set of images")
    add("--output", default="artifacts", help="folder that gets a folder for each repair")
    add("--poisoned", default="", metavar="DIR", help="poisoned test images that lie elsewhere")
    add("--target", default="", metavar="N", help="the class that poisoned images lead to")
    add("--keys", default="", metavar="X,Y", help="what images and labels are called in files")
    ways = f"auto, {', '.join(RESIZE)}; ,crop or ,pad"
    add("--resize", default="auto", metavar="HOW", help=ways)
    add("--order", choices=ORDERS, default="both", help="which channels to prune first")
    add("--drop", nargs="+", default=["2", "4", "10"], metavar="X", help="points of accuracy")
    add("--layer", default="auto", help="the layer to prune")
    add("--preprocessing", default="auto", help=f"auto, {', '.join(NAMES)}, or mean=...,std=...")
    add("--scale", choices=("auto", "raw", "unit"), dest="preprocessing", help="the same")
    add("--architecture", default="auto", help="auto, deepid or FILE.json, for weights only")
    add("--method", choices=METHOD_CHOICES, default="auto", help="what is done beside pruning")
    add("--budget", type=float, default=2, metavar="X", help="points of accuracy a model may lose")
    minutes = "that a verdict may take, about; 0 leaves it out"
    add("--minutes", type=float, default=5, metavar="M", help=minutes)
    add("--task-runner", default="threads", help="threads, dask, or a scheduler's tcp://host:port")
