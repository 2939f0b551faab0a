"""mmbench in a training loop: a toy generator learns bouncing balls, and is scored as it does.

Needs no download; takes seconds on a CPU. Cells for a notebook begin with `# %%`.
"""

# %% Real clips: videos (n, 16, 64, 64, 3) uint8 and sounds (n, 32000), of a dataset that comes with the package
import numpy as np
import torch
from torch import nn

import mmbench as mm

real = mm.load_clips("bounce", num=24, seed=1)
frames = torch.tensor(np.stack(real.videos)).float().div(255).flatten(1)
sounds = torch.tensor(np.stack(real.audios))


# %% A toy: every clip gets a code, and a linear layer draws picture and sound from it
class Toy(nn.Module):
    def __init__(self, clips: int, width: int = 16) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(clips, width))
        self.video, self.audio = nn.Linear(width, frames.shape[1]), nn.Linear(width, sounds.shape[1])

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.video(codes).sigmoid(), self.audio(codes).tanh()


torch.manual_seed(0)
toy = Toy(len(real))
optimizer = torch.optim.Adam(toy.parameters(), lr=0.03)

# %% The metrics, with the features of real clips that the toy never sees: computed once
evaluator = mm.Evaluator(("fvd_bounce", "fad_bounce", "ib_bounce_av"), reference="bounce", fps=8, sample_rate=16000)

# %% Train, and score new clips now and then
history = []
for step in range(31):
    video, audio = toy(toy.codes)
    loss = (video - frames).square().mean() + (audio - sounds).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        with torch.no_grad():
            video, audio = toy(toy.codes + 0.1 * torch.randn_like(toy.codes))
        evaluator.reset()
        evaluator.update(video.unflatten(1, (16, 64, 64, 3)), audio)  # in several processes with ids=, a name per clip
        history.append(evaluator.gather().compute(f"step {step}"))  # of all processes
        print(f"loss {loss:.4f}", history[-1], sep="\n")

# %% What did the training change? Paired differences, with intervals
print(mm.compare(history[0], history[-1]))
