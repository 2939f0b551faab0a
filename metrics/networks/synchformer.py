"""Synchformer: how much does the sound of a video lag its picture, from 14 overlapping segments of 0.64 s.

Two towers give features of a clip's halves, and a head compares them. Published under
v-iashin/Synchformer@main (arXiv 2401.16423, model 24-01-04T16-39-21, trained on AudioSet) and repacked for
hkchengrex/av-benchmark@050a5cd, whose key names these are.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmbench.metrics.networks.synchformer_audio import AudioTower, AudioTowerConfig
from mmbench.metrics.networks.synchformer_head import HeadConfig, SyncHead
from mmbench.metrics.networks.synchformer_video import VideoTower, VideoTowerConfig


@dataclass(frozen=True)
class SynchformerConfig:
    """Sizes of the three parts."""

    video: VideoTowerConfig
    audio: AudioTowerConfig
    head: HeadConfig


# FULL is the published model, with 237 M parameters; SMALL is for random weights
FULL = SynchformerConfig(VideoTowerConfig(), AudioTowerConfig(), HeadConfig())
SMALL = SynchformerConfig(
    VideoTowerConfig(width=24, depth=1, heads=2, patch=32),
    AudioTowerConfig(width=24, depth=1, heads=2, hidden=48),
    HeadConfig(width=24, heads=2),
)


class Synchformer(SyncHead):
    """The three parts together, under the checkpoint's names; what it maps is what its head does."""

    def __init__(self, config: SynchformerConfig = FULL) -> None:
        super().__init__(config.head)
        self.vfeat_extractor, self.afeat_extractor = VideoTower(config.video), AudioTower(config.audio)
        self.eval()
