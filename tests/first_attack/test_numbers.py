"""S1: other numbers than what was asked for, without a word."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.chaos.pieces import encoded, flip, picture, sound
from tests.first_attack.attacked import RUN, STEPS, User, copy_samples, swap
from tests.media_files import write_media

AV = ["-m", "av_align"]


def test_an_existing_folder_is_scored_not_an_older_run(user: User, run: Path) -> None:
    copy_samples(run, user.folder / "tiny", 3)
    found = user("evaluate", "tiny", *AV, "-f", "json").records
    assert {record["n_expected"] for record in found} == {3}


def test_a_folder_is_scored_again_by_its_path(user: User, clips: Path) -> None:
    assert user("evaluate", "clips", *AV).code == 0
    shutil.copytree(clips, user.folder / "real")
    again = user("evaluate", "clips", "-d", "folder:real", "-m", "fvd_bounce", "--name", "mine")
    assert again.code == 0, again.err


def test_a_table_shows_or_refuses_several_runs(user: User) -> None:
    for steps in (2, 4):
        user.made(*RUN[:9], "--set", f"num_inference_steps={steps}", *AV)
    table = user("table", "-m", "av_align.mmdisco_96ms")
    assert table.code or table.out.count("tiny") >= 2


def test_a_reference_of_other_clips_is_another_reference(user: User, clips: Path) -> None:
    real = copy_samples_of(user, 3)
    ask = ["evaluate", "clips", "-d", "folder:real", "-m", "fvd_bounce", "--name", "mine", "-f", "json"]
    (first,) = user(*ask).records
    for k, clip in enumerate(sorted(real.iterdir())):
        frames = np.roll(picture(64, 64, 16), 3 * k, axis=0)
        write_media(clip, frames, sound(2.0, level=0.1 + 0.2 * k), video_codec="ffv1", audio_codec="flac")
    (second,) = user(*ask).records
    assert first["value"] != second["value"]
    assert (first["digest"], first["reference"]) != (second["digest"], second["reference"])


def copy_samples_of(user: User, count: int) -> Path:
    """Clips to compare with, those of the user's folder."""
    real = user.folder / "real"
    real.mkdir()
    for clip in sorted((user.folder / "clips").iterdir())[:count]:
        shutil.copy(clip, real)
    return real


def test_nan_in_reference_statistics_is_no_perfect_score(user: User, clips: Path) -> None:
    file = user.folder / "real.safetensors"
    user.made("stats", "export", "-d", "bounce", "-m", "fvd_bounce", "-n", "4", "--statistics-only", "-o", file)
    data = bytearray(file.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    name = next(name for name in header if name.endswith("mean"))
    wide = header[name]["dtype"] == "F64"
    value = np.array([np.nan], np.float64 if wide else np.float32).tobytes()
    place = begin + header[name]["data_offsets"][0]
    data[place : place + len(value)] = value
    file.write_bytes(data)
    done = user("evaluate", "clips", "--reference", file, "-m", "fvd_bounce", "-f", "json")
    assert done.code or 0.0 not in done.values.values()


def test_a_damaged_sample_is_not_left_out_without_a_word(user: User, run: Path) -> None:
    os.truncate(run / "samples" / "000002.mkv", 50000)
    shutil.rmtree(user.folder / "runs" / "features")
    done = user(*RUN, "-m", "ib_bounce_ta", "-m", "fvd_bounce")
    assert "000002" in done.err or "sample 2" in done.err


def test_reference_clips_that_cannot_be_decoded_are_named(user: User, clips: Path) -> None:
    real = copy_samples_of(user, 4)
    whole = encoded("mp4", "libx264", "aac")
    for name in ("a.mp4", "b.mp4"):
        (real / name).write_bytes(damaged_inside(whole))
    done = user("evaluate", "clips", "-d", "folder:real", "-m", "fvd_bounce")
    assert "a.mp4" in done.err + done.out


def damaged_inside(data: bytes) -> bytes:
    """An MP4 whose header is whole and whose first picture is not."""
    place = data.index(b"mdat")
    return data[: place + 4] + bytes(3000) + data[place + 3004 :]


def test_text_is_not_scored_against_the_empty_prompt(user: User, clips: Path) -> None:
    done = user("evaluate", "clips", "-m", "ib_bounce_tv", "-f", "json")
    assert done.code or set(done.values.values()) == {None}


def test_an_unclosed_quote_is_no_text_of_the_rows_behind_it(user: User, clips: Path) -> None:
    rows = "".join(f"{k:06d}.mkv,a ball\n" for k in range(1, 4))
    (clips / "p.csv").write_text('file,prompt\n000000.mkv,"a ball\n' + rows)
    done = user("evaluate", "clips", "-m", "ib_bounce_tv")
    assert done.refused("p.csv")


def test_what_guides_is_said_where_it_is_not_what_is_shipped(user: User) -> None:
    small = ["--num-real", "4", "--num-fake", "4", "--batch-size", "2", "--steps", "2"]
    user.made("train", "-s", "tiny", "-d", "bounce", "--discriminator", "res_frieren", *small, *STEPS)
    done = user("run", "-s", "tiny+mmdisco-res_frieren", "-n", "2", "-d", "bounce", *STEPS, "-m", "ib_bounce_av")
    assert "runs/discriminators" in done.err or "runs/discriminators" in done.out


def test_a_flipped_bit_of_a_cached_feature_is_seen(user: User, run: Path) -> None:
    ask = ["-m", "av_align", "-m", "ib_bounce_ta", "-f", "json"]
    before = user.made(*RUN, *ask).values
    for file in (run / "records.jsonl", *(run / "scores").iterdir()):
        file.unlink()
    for shard in (user.folder / "runs" / "features").glob("*/*.safetensors"):
        data = bytearray(shard.read_bytes())
        for place in range(len(data) - 1, 8 + int.from_bytes(data[:8], "little"), -4):
            data[place] ^= 1 << 6  # of an exponent
        shard.write_bytes(data)
    done = user(*RUN, *ask)
    assert done.err.count("features") or done.values == before


def test_an_edited_value_is_not_shown(user: User, run: Path) -> None:
    values = [json.loads(line) for line in (run / "records.jsonl").read_text().split("\n") if line]
    value = next(r["value"] for r in values if r["metric"].startswith("av_align.mmdisco"))
    swap(run / "records.jsonl", f'"value": {value}', '"value": 0.999')
    table = user("table", "-m", "av_align.mmdisco_96ms")
    assert "0.999" not in table.out


def test_an_edited_system_of_a_manifest_is_not_shown(user: User, run: Path) -> None:
    swap(run / "manifest.json", '"system": "tiny"', '"system": "ground_truth"')
    assert "ground_truth" not in user("list", "runs").out


def test_a_flipped_bit_of_a_checkpoint_makes_no_other_weights(user: User) -> None:
    small = ["--num-real", "4", "--num-fake", "4", "--batch-size", "2", "--channels", "32", "--steps"]
    user.made("train", "-s", "tiny", "-d", "bounce", *small, "4", *STEPS)
    (checkpoint,) = (user.folder / "runs" / "discriminators").rglob("checkpoint.pt")
    data = bytearray(checkpoint.read_bytes())
    data[len(data) // 2] ^= 1 << 5
    checkpoint.write_bytes(data)
    done = user("train", "-s", "tiny", "-d", "bounce", *small, "6", *STEPS)
    assert done.code or "checkpoint" in done.err


def test_sound_that_ends_early_is_not_scored(user: User) -> None:
    folder = user.folder / "mine"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.mp4").write_bytes(encoded("mp4", "libx264"))
        path = write_media(folder / f"{name}.mp3", None, sound(0.8, 48000), rate=48000, audio_codec="libmp3lame")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    done = user("evaluate", "mine", *AV)
    assert path.name in done.err


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_checksums_of_ffv1_and_flac_are_looked_at(user: User, clips: Path, kind: str) -> None:
    damaged = clips / "000001.mkv"
    damaged.write_bytes(flip(damaged.read_bytes(), kind, 1, 0.7))
    done = user("evaluate", "clips", *AV)
    assert "000001.mkv" in done.err


def test_what_is_no_regular_file_is_named(user: User, clips: Path) -> None:
    (clips / "dangling.mp4").symlink_to("nowhere")
    (clips / "loop.mp4").symlink_to("loop.mp4")
    os.mkfifo(clips / "fifo.mp4")
    (clips / "folder.mp4").mkdir()
    done = user("evaluate", "clips", *AV)
    assert all(name in done.err for name in ("dangling.mp4", "loop.mp4", "fifo.mp4"))


def test_clips_of_many_sizes_are_not_compared_with_others(user: User) -> None:
    for model, sizes in {"a": (64, 72, 80, 96), "b": (16, 24, 32, 40)}.items():
        (user.folder / model).mkdir()
        for size in sizes:
            path = user.folder / model / f"{size}.mkv"
            write_media(path, picture(size, size), sound(), video_codec="ffv1", audio_codec="flac")
        user.made("evaluate", model, *AV)
    table = user("table", "-m", "av_align.mmdisco_96ms")
    assert table.code or "signature" in table.err


def test_verify_hashes_a_file_whose_time_and_size_are_as_before(user: User) -> None:
    path = user.folder / "home" / "weights" / "specvqgan" / "netG.pt"
    path.parent.mkdir(parents=True)
    torch.save({"weight": torch.zeros(1000)}, path)
    user.made("weights", "verify", "specvqgan_melgan")
    before, data = path.stat(), bytearray(path.read_bytes())
    data[data.index(bytes(1000)) + 500] = 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert user("weights", "verify", "specvqgan_melgan").code != 0


def test_counts_of_a_record_add_up(user: User, clips: Path) -> None:
    for name in "ab":
        (clips / f"{name}.mp4").write_bytes(encoded("mp4", "libx264"))  # without sound
    for r in user("evaluate", "clips", "-m", "ib_bounce_av", "-f", "json").records:
        parts = ("n_failed", "n_unscored", "n_scored", "n_nonfinite")
        assert sum(r[part] for part in parts) + r.get("n_missing", 0) == r["n_expected"]


def test_clips_without_sound_are_not_scored_without_a_word(user: User) -> None:
    (user.folder / "mute").mkdir()
    for name in "abc":
        (user.folder / "mute" / f"{name}.mp4").write_bytes(encoded("mp4", "libx264"))
    done = user("evaluate", "mute", *AV, "-f", "json")
    assert done.code or "no_audio" in done.err or {record["n_scored"] for record in done.records} == {0}


def test_a_table_tells_seeds_apart(user: User) -> None:
    for system, seed in (("ground_truth", "1"), ("independent", "2")):
        user.made("run", "-s", system, "-d", "bounce", "-n", "3", "--seed", seed, *AV, "--workers", "1")
    table = user("table", "-m", "av_align.mmdisco_96ms")
    assert table.code or "seed" in table.out


def test_no_samples_are_not_all_of_them(user: User, run: Path) -> None:
    assert user("evaluate", run, "-n", "0", *AV).code != 0


def test_merge_does_not_copy_what_is_cut(user: User, run: Path) -> None:
    os.truncate(run / "samples" / "000001.mkv", 3000)
    done = user("merge", "runs", "--out", "whole")
    assert done.code or "000001" in done.err


def test_plan_names_a_pilot_that_it_cannot_read(user: User, run: Path) -> None:
    user.made("run", "-s", "ground_truth", *RUN[3:9], *AV, "--workers", "1")
    for file in (run / "scores").glob("av_align*"):
        os.truncate(file, file.stat().st_size // 2)
    done = user("plan", "-m", "av_align", "-e", "0.1")
    assert "scores" in done.err or run.name in done.err


def test_a_path_is_no_url(user: User, clips: Path) -> None:
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        folder = Path("http:") / f"127.0.0.1:{server.server_port}"
        (user.folder / "http:").mkdir()
        shutil.move(clips, user.folder / folder)
        done = user("evaluate", folder, *AV, "-f", "json")
        server.shutdown()
    assert not asked
    assert {record["n_scored"] for record in done.records} == {4}
