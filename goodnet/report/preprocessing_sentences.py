"""How a suspect's preprocessing was found, in sentences; all accuracies stand beside them."""

from goodnet.preprocessing import PreprocessingInfo
from goodnet.report.prose import sentences


def better_one(info: PreprocessingInfo) -> str:
    """The name of one that is more accurate than the one taken; empty where none is."""
    shares = info.accuracies
    whole = max(share.count for share in shares.values())
    tried = {name: share.value for name, share in shares.items() if share.count == whole}
    best = max(tried, key=lambda name: tried[name])
    return best if tried[best] > shares[info.preprocessing.name].value else ""


def preprocessing_sentences(info: PreprocessingInfo) -> list[str]:
    """What is to be said of the choice: a better one that was left, near-ties, a first look."""
    shares = info.accuracies
    whole = max(share.count for share in shares.values())
    few = [name for name, share in shares.items() if share.count < whole]
    return sentences(
        "preprocessing",
        (),
        info=info,
        better=better_one(info),
        few=few,
        first=min(share.count for share in shares.values()),
    )
