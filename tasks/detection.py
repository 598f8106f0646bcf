"""The verdict as a cached task: from clean validation images alone."""

from prefect.logging import get_run_logger

from goodnet.detection.verdict import Verdict
from goodnet.files.data_files import DataFile
from goodnet.preprocessing import Preprocessing
from tasks import opened
from tasks.caching import cached_task
from tasks.progress import reporter
from tasks.references import SuspectFile


@cached_task(name="judge", run_name="judge")
def judge(
    suspect: SuspectFile, preprocessing: Preprocessing, valid: DataFile, minutes: float
) -> Verdict:
    """Whether the suspect is backdoored, and for which classes, in about so many minutes."""
    from goodnet.datasets.images import CleanImages
    from goodnet.detection import credibility
    from goodnet.network.classifier import LogitModel

    network = opened.suspect(suspect)
    clean = CleanImages.of(opened.clean_valid(valid, network))
    view = LogitModel.from_suspect(network, preprocessing)
    progress, say = reporter("looking for triggers", "steps"), get_run_logger().info
    return credibility.judge(view, clean, minutes=minutes, progress=progress, say=say)
