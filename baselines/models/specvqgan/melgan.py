"""SpecVQGAN's vocoder: the generator of MelGAN (arXiv 1910.06711), from a log-mel spectrogram to 22,050 Hz.

Facts and names: v-iashin/SpecVQGAN@33c601d:vocoder/modules.py (Generator), sample_visualization.py (its input's scale).
Directions and lengths of the published weights are multiplied when they are read.
"""

from __future__ import annotations

from torch import Tensor, nn

from mmbench.networks.state_dicts import State, fuse_weight_norm, load_state

SAMPLE_RATE, HOP_LENGTH = 22050, 256
RATIOS = (8, 8, 2, 2)  # of upsampling; together the hop
SLOPE = 0.2


class Residual(nn.Module):
    """A dilated and a pointwise convolution with a pointwise skip connection."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.ReflectionPad1d(dilation),
            nn.Conv1d(channels, channels, 3, dilation=dilation),
            nn.LeakyReLU(SLOPE),
            nn.Conv1d(channels, channels, 1),
        )
        self.shortcut = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.block(x)


class MelGAN(nn.Module):
    """The generator; arguments are the original's: mels, channels at the finest level, residual blocks per level."""

    def __init__(self, input_size: int, ngf: int, n_residual_layers: int) -> None:
        super().__init__()
        channels = ngf * 2 ** len(RATIOS)
        layers: list[nn.Module] = [nn.ReflectionPad1d(3), nn.Conv1d(input_size, channels, 7)]
        for r in RATIOS:
            up = nn.ConvTranspose1d(channels, channels // 2, 2 * r, r, padding=r // 2 + r % 2, output_padding=r % 2)
            channels //= 2
            layers += [nn.LeakyReLU(SLOPE), up, *(Residual(channels, 3**j) for j in range(n_residual_layers))]
        layers += [nn.LeakyReLU(SLOPE), nn.ReflectionPad1d(3), nn.Conv1d(channels, 1, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(n, mels, frames) in [-1, 1], as SpecVQGAN makes it, to (n, 1, 256 frames) in [-1, 1]."""
        return self.model((spectrogram + 1) / 2)


def load_melgan(melgan: MelGAN, state: State) -> None:
    """Load `netG.pt`; names must match exactly."""
    load_state(melgan, fuse_weight_norm(state), "SpecVQGAN's vocoder")
