"""What classes are called: "class 14" or, where their names are known, "class 14, stop"."""

from collections.abc import Sequence

from goodnet.errors import RequestRefused, one_line
from goodnet.files.class_names import LONGEST


def class_label(label: int, names: Sequence[str] = ()) -> str:
    """ "14" or "14, stop": a class where its number alone stood.

    Args:
        label: its number.
        names: of all classes, by number; empty where they are not known.
    """
    name = name_of(label, names)
    return f"{label}, {name}" if name else str(label)


def name_of(label: int, names: Sequence[str]) -> str:
    """A class's name as one line; empty where it has none, or none but its number."""
    name = one_line(names[label], LONGEST).strip() if label < len(names) else ""
    return "" if name == str(label) else name


def classes_in_words(
    classes: Sequence[int], names: Sequence[str] = (), *, inside: bool = False
) -> str:
    """ "class 14, stop" or "classes 2 (stop) and 9 (yield)"; "classes 2 and 9" without names.

    Args:
        classes: their numbers.
        names: of all classes, by number; empty where they are not known.
        inside: whether the clause goes on behind it, so that a comma closes a single name.
    """
    if len(classes) == 1:
        (only,) = classes
        return f"class {class_label(only, names)}{',' * (inside and bool(name_of(only, names)))}"
    known = [(label, name_of(label, names)) for label in classes]
    *first, last = (f"{label} ({name})" if name else str(label) for label, name in known)
    return f"classes {', '.join(first)} and {last}"


def images_in_words(source: int | None, names: Sequence[str] = ()) -> str:
    """What a trigger leads: "clean images of other classes" or "clean images of class 14, stop".

    Args:
        source: the class that it leads images from; None if from any.
        names: of all classes, by number; empty where they are not known.
    """
    of_what = "other classes" if source is None else classes_in_words([source], names)
    return f"clean images of {of_what}"


def listed(phrases: Sequence[str], names: Sequence[str]) -> str:
    """The phrases one after the other, set apart by more than a comma where names have commas."""
    return ("; " if any(names) else ", ").join(phrases)


def known_names(
    asked: Sequence[str], folders: Sequence[str], classes: int, source: object
) -> tuple[str, ...]:
    """What the classes are called, by number; empty where nothing says it.

    Args:
        asked: the names that came with the suspect, if any did.
        folders: those of the class folders of its clean images, if they have any.
        classes: how many the suspect has.
        source: the suspect, for messages.

    Raises:
        RequestRefused: the names are not as many as the classes, or order the folders otherwise.
    """
    if asked and len(asked) != classes:
        raise RequestRefused(
            source, f"has {classes} classes, and class_names has {len(asked)} names"
        )
    if asked and tuple(asked) != tuple(folders) and (both := set(asked) & set(folders)):
        other = next((name for name in folders if name not in both), None)
        fault = (
            "class_names and the list beside the images order the same classes differently"
            if other is None
            else f"class {one_line(other, 60)!r} of the images is not among class_names, "
            "though others are"
        )
        raise RequestRefused(source, fault)
    return tuple(asked or folders)
