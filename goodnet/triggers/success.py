"""What a trigger does to a network, measured on clean images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.datasets.images import CleanImages
from goodnet.metrics import Proportion
from goodnet.network.classifier import Classifier, LogitModel, margins
from goodnet.triggers.trigger import RecoveredTrigger, Trigger, apply_trigger

Tensor = Any


def success(classifier: Classifier, clean: CleanImages, trigger: Trigger) -> Proportion:
    """The share of the clean images a trigger is to lead that it takes to its target."""
    reached = _target_margins(classifier, clean, trigger)
    return Proportion(int((reached > 0).sum()), len(reached))


def recovered_trigger(model: LogitModel, clean: CleanImages, trigger: Trigger) -> RecoveredTrigger:
    """A trigger with its success and margin on those of these clean images that it is to lead."""
    reached = _target_margins(model, clean, trigger)
    share = Proportion(int((reached > 0).sum()), len(reached))
    margin = float(reached.mean() / model.clean_margin(clean))
    return RecoveredTrigger.encode(trigger, share, margin)


def images_to_lead(clean: CleanImages, trigger: Trigger) -> CleanImages:
    """The clean images of a trigger's source, or of all classes but its target.

    All images where there is none.
    """
    source = trigger.source
    led = clean.labels != trigger.target if source is None else clean.labels == source
    return clean.take(led) if led.any() else clean


def _target_margins(
    classifier: Classifier, clean: CleanImages, trigger: Trigger
) -> NDArray[np.float32]:
    """The target's margin on each clean image that the trigger is to lead."""
    target = trigger.target
    logits = classifier.all_logits(images_to_lead(clean, trigger).pixels, trigger.apply)
    return np.asarray(logits[:, target] - np.delete(logits, target, axis=1).max(axis=1))


def trigger_margins(
    model: LogitModel, images: Tensor, masks: Tensor, patterns: Tensor, targets: Tensor
) -> Tensor:
    """The margin of each trigger's target on each image, (triggers, images); differentiable.

    Args:
        model: the network.
        images: (images, H, W, C), 0..1, for all triggers, or (triggers, images, H, W, C).
        masks: (triggers, H, W, 1).
        patterns: (triggers, H, W, C).
        targets: one-hot, (triggers, classes).
    """
    applied = apply_trigger(images, masks[:, None], patterns[:, None])
    shape = tf.shape(applied)
    flat = tf.reshape(applied, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))
    logits = tf.reshape(model.logits(flat), (shape[0], shape[1], model.classes))
    return margins(logits, targets[:, None])
