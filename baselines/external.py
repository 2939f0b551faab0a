"""Any program as a system: external:FILE.toml runs what the file declares, on prompts in a file, clips out.

The program reads JSON lines {id, prompt, prompt_id, index, seed, num_frames, height, width, fps, num_samples,
sample_rate, output} and leaves, for each, one of

    ID.mp4 (.mkv .webm .mov .avi .m4v)          a video with its sound
    ID.mp4 and ID.wav (.flac .mp3 .ogg ...)     or the sound in a file of its own
    ID/*.png (.jpg) and ID.wav                  or its frames, in order of their names, at the `fps` of the line

in the folder {out}; `output` is that folder with ID, so that output + ".mp4" is right. Size, rates and length are
brought to the dataset's format as other people's clips are; what is too short or has no sound fails.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.baselines.kinds.program import LOG, OUT, ProgramError, read_declaration, run_program
from mmbench.errors import MediaError, UsageError
from mmbench.files import writing
from mmbench.media.regular_files import open_regular
from mmbench.registry import register
from mmbench.types import Clip, Dataset, Request, Spec

VERSION = 1
FRAMES = frozenset({".png", ".jpg", ".jpeg"})
Outcome = Clip | ProgramError


@register("system", "external", "Your own program: external:FILE.toml says how to run it; prompts in, clips out.")
class External:
    """A program that a TOML file declares (`mmbench.baselines.kinds.program` says how).

    It is run once per batch. What it leaves after ending well is final; after a crash or a time-out its readable clips
    count, and the others are tried alone, so that one sample fails alone. Folders of failed batches are kept.

    Args:
        file: The declaration.
        dataset: What is generated for.

    Raises:
        UsageError: No declaration, or one that cannot be right.
        MMBenchError: The program or its files are not here.
    """

    def __init__(self, file: str = "", *, dataset: Dataset) -> None:
        if not file:
            raise UsageError("The system external needs a declaration.", "external:FILE.toml", "-s external:my.toml")
        self._declared = read_declaration(Path(file))
        self.name, self.weights = f"external:{self._declared.name}", self._declared.weights
        self.batch_size, self._form = self._declared.batch_size, dataset.format
        self._folder: Path | None = None  # a temporary one per batch unless the harness names one
        self._outcomes: dict[Any, Outcome] = {}  # of the last batches, until they are yielded
        self._trouble = ""

    def spec(self) -> Spec:
        """Command of the program, and digests of its files."""
        return {"system": "external", "interface": VERSION, "declared": self._declared.spec()}

    def keep_files_in(self, folder: Path) -> None:
        """Put the program's prompts, clips and logs into `folder`."""
        self._folder = folder

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order; raises ProgramError where there is none."""
        todo = [request for request in requests if key_of(request) not in self._outcomes]
        if todo:
            self._outcomes |= self._make(todo)
        for request in requests:
            outcome = self._outcomes.get(key_of(request))
            if outcome is None:
                raise ProgramError(self._trouble)  # as a batch of its own it gets another attempt
            if isinstance(outcome, Clip) or len(requests) == 1:
                del self._outcomes[key_of(request)]
            if not isinstance(outcome, Clip):
                raise outcome
            yield outcome

    def _make(self, requests: Sequence[Request]) -> dict[Any, Outcome]:
        """Run the program for these requests and read what it left; a batch that ended badly leaves some open."""
        parent = self._folder or Path(tempfile.mkdtemp(prefix="mmbench-external-"))
        work = (parent / f"{requests[0].index:06d}-{requests[-1].index:06d}").absolute()
        shutil.rmtree(work, ignore_errors=True)
        with writing(work):
            work.mkdir(parents=True)
        trouble = run_program(self._declared, [self._line(r, work / OUT) for r in requests], work)
        outcomes: dict[Any, Outcome] = {}
        for request in requests:
            try:
                outcomes[key_of(request)] = self._read(work / OUT, f"{request.index:06d}")
            except MediaError as error:
                reason = trouble or f"{self._declared.name} left nothing usable: {error.found.rstrip('.')}"
                self._trouble = f"{reason}; see {work / LOG}"
                if not trouble or len(requests) == 1:
                    outcomes[key_of(request)] = ProgramError(self._trouble)
        if sum(isinstance(outcome, Clip) for outcome in outcomes.values()) == len(requests):
            shutil.rmtree(work if self._folder else parent)
        return outcomes

    def _line(self, request: Request, out: Path) -> dict[str, Any]:
        """The line of a request in the program's prompts; its seed is the request's own number in [0, 2^31)."""
        name = f"{request.index:06d}"
        line = {"id": name, "prompt": request.prompt.text, "prompt_id": request.prompt.id, "index": request.index}
        seed = int(request.rng("external").integers(2**31))
        return {**line, "seed": seed, **asdict(self._form), "output": str(out / name)}

    def _read(self, out: Path, name: str) -> Clip:
        """A clip that the program left, in the dataset's format; raises MediaError if there is none to use."""
        from mmbench.media.decode import decode
        from mmbench.media.resample import conform
        from mmbench.media.sources import AUDIO_SUFFIXES, VIDEO_SUFFIXES

        files = [path for path in sorted(out.glob(f"{name}*")) if path.stem == name]
        videos = [path for path in files if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES]
        sounds = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
        if len(videos) != 1 or len(sounds) > 1:
            found = ", ".join(path.name for path in files) or "nothing"
            raise MediaError(f"{found} of sample {name}", "one video or folder of frames, and at most one sound")
        video = videos[0]
        if video.is_dir():
            video = join_frames(video, self._form.fps)
        clip = conform(decode(video, sounds[0] if sounds else None), self._form)
        if len(clip.audio) != self._form.num_samples:
            raise MediaError(f"{video.name} holds no sound", "a sound, in the video or in a file of its own")
        return clip


def key_of(request: Request) -> tuple[Any, ...]:
    """Seed, prompt and index, which identify a request."""
    return request.seed, request.prompt.id, request.index


def join_frames(folder: Path, fps: float) -> Path:
    """Write the pictures in a folder as a lossless video next to it; raises MediaError if they are no video."""
    from PIL import Image, UnidentifiedImageError

    from mmbench.media.clip_files import write_lossless
    from mmbench.media.sources import natural_key

    pictures = sorted((p for p in folder.iterdir() if p.suffix.lower() in FRAMES), key=lambda p: natural_key(p.name))
    try:
        frames = []
        for picture in pictures:
            with open_regular(picture) as file:
                frames.append(np.asarray(Image.open(file).convert("RGB")))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise MediaError(f"{folder.name} holds a picture that cannot be read: {error}") from error
    if len({frame.shape for frame in frames}) != 1:
        raise MediaError(f"{folder.name} holds {len(frames)} frames of several sizes or none", "frames of one size")
    joined = folder.with_name(f"{folder.name}.frames.mkv")
    write_lossless(Clip(np.stack(frames), fps, np.zeros(0, np.float32), 16000), joined)
    return joined
