"""Options that several commands have."""

import argparse

from goodnet.files.reading import METHODS
from goodnet.preprocessing import NAMES


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How images are read."""
    names = "what images and labels are called in a file"
    parser.add_argument("--keys", default="", metavar="X,Y", help=names)
    resize = f"{', '.join(METHODS)}; with ,crop or ,pad to keep the shape of pictures"
    parser.add_argument("--resize", default="auto", metavar="HOW", help=resize)


def add_opening(parser: argparse.ArgumentParser) -> None:
    """How a suspect is opened."""
    parser.add_argument("--architecture", default="auto", help="auto, deepid or FILE.json")
    parser.add_argument("--layer", default="auto", help="the layer to prune")


def add_preprocessing(parser: argparse.ArgumentParser) -> None:
    """What is done to pixels before the network sees them."""
    names = f"auto, {', '.join(NAMES)}, or mean=...,std=..."
    parser.add_argument("--preprocessing", default="auto", help=names)
    parser.add_argument(
        "--scale", choices=("auto", "raw", "unit"), dest="preprocessing", help="the same"
    )


def add_minutes(parser: argparse.ArgumentParser) -> None:
    """How long a verdict may take."""
    minutes = "that the verdict may take, about; a large network is searched with less"
    parser.add_argument("--minutes", type=float, default=5, metavar="M", help=minutes)
