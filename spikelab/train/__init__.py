"""Training: `fit`, evaluation, augmentation, checkpoints."""

from spikelab.train.augment import ChannelWarp, ImageShift, ImageWarp, SpikeDrop, TimeWarp
from spikelab.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from spikelab.train.evaluation import Evaluation, evaluate
from spikelab.train.loop import fit

__all__ = [
    "ChannelWarp",
    "Checkpoint",
    "Evaluation",
    "ImageShift",
    "ImageWarp",
    "SpikeDrop",
    "TimeWarp",
    "evaluate",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
]
