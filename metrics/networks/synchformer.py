"""Synchformer: how much does the sound of a video lag its picture, from 14 overlapping segments of 0.64 s.

The networks are two towers and a head, each loaded alone by whoever needs it. Published under
v-iashin/Synchformer@main (arXiv 2401.16423, model 24-01-04T16-39-21, trained on AudioSet) and repacked for
hkchengrex/av-benchmark@050a5cd, whose key names these are.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from mmbench.metrics.networks.synchformer_audio import AudioTower, AudioTowerConfig
from mmbench.metrics.networks.synchformer_head import HeadConfig, SyncHead
from mmbench.metrics.networks.synchformer_video import VideoTower, VideoTowerConfig
from mmbench.networks.state_dicts import State, part

VIDEO, AUDIO = "vfeat_extractor.", "afeat_extractor."  # what the towers' keys begin with in the checkpoint


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
    HeadConfig(width=24, depth=1, heads=2),
)


class Synchformer(nn.Module):
    """The three parts together, under the checkpoint's names."""

    def __init__(self, config: SynchformerConfig = FULL) -> None:
        super().__init__()
        self.vfeat_extractor, self.afeat_extractor = VideoTower(config.video), AudioTower(config.audio)
        head = SyncHead(config.head)
        self.vproj, self.aproj, self.transformer = head.vproj, head.aproj, head.transformer
        self.eval()


def split(state: State) -> dict[str, State]:
    """The checkpoint's tensors by the part they belong to: "video", "audio", "head"."""
    rest = {name: value for name, value in state.items() if not name.startswith((VIDEO, AUDIO))}
    return {"video": part(state, VIDEO), "audio": part(state, AUDIO), "head": rest}
