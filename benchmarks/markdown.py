"""Tables of Markdown, and numbers as they stand in them."""

from collections.abc import Iterable, Sequence


def table(*head: str, rows: Iterable[Sequence[str]], left: int = 2) -> str:
    """A Markdown table; columns after the first few are aligned to the right."""
    rule = ["---" if number < left else "--:" for number in range(len(head))]
    lines = [" | ".join(cells).strip() for cells in (head, rule, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def span(shares: Iterable[float | None]) -> str:
    """The lowest and the highest share, in points; one number where they are the same."""
    known = ends([share for share in shares if share is not None])
    return " to ".join(dict.fromkeys(points(end) for end in known))


def points(share: float | None) -> str:
    """A share in per cent, or a difference of shares in points; empty where it is not known."""
    return "" if share is None else f"{100 * share + 0:.1f}".replace("-0.0", "0.0")


def ends(values: Sequence[float]) -> tuple[float, ...]:
    """The lowest and the highest of the values, if there are any."""
    return (min(values), max(values)) if values else ()
