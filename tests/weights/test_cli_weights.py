"""The commands, the table, and what importing costs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmbench.cli import weights as cli_weights
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import checkpoints as weights
from mmbench.weights.known import KNOWN
from tests.commands import environment
from tests.weights.support import BODY, SHA, Known, folder, put


def test_commands_print_what_the_functions_say(known: Known) -> None:
    known(), known("other")
    cli = CliRunner()
    path = str(folder() / "net.bin")
    assert json.loads(cli.invoke(cli_weights.app, ["fetch", "net", "-q", "-f", "json"]).stdout) == [
        {"name": "net", "path": path}
    ]
    assert cli.invoke(cli_weights.app, ["where", "net"]).stdout == f"{path}\n"
    listed = json.loads(cli.invoke(cli_weights.app, ["list", "-f", "json"]).stdout)
    assert [(row["name"], row["status"]) for row in listed] == [("net", "present"), ("other", "missing")]
    verified = json.loads(cli.invoke(cli_weights.app, ["verify", "-f", "json"]).stdout)
    assert verified == [{"name": "net", "status": "ok", "digest": "as published", "sha256": SHA, "path": path}]
    put(Path(path), BODY[::-1])
    failed = cli.invoke(cli_weights.app, ["verify", "other", "net", "-f", "quiet"])
    assert failed.stdout == "other\nnet\n"
    assert isinstance(failed.exception, MMBenchError)
    assert isinstance(cli.invoke(cli_weights.app, ["verify"]).exception, IntegrityError)


@pytest.mark.parametrize("command", ["list", "fetch", "verify", "where"])
def test_every_help_has_examples(command: str) -> None:
    shown = CliRunner().invoke(cli_weights.app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"mmbench weights {command}" in shown.stdout


def test_importing_is_light() -> None:
    heavy = "{'torch', 'huggingface_hub', 'httpx', 'httpx2', 'requests', 'numpy', 'http.client'}"
    code = f"import sys, mmbench.weights.checkpoints, mmbench.cli.weights; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout == "[]\n"


def test_table_is_well_formed() -> None:
    assert {"i3d", "vggish", "imagebind", "clip_bpe"} <= set(KNOWN)
    assert len({w.file for w in KNOWN.values()}) == len(KNOWN)
    for name, weight in KNOWN.items():
        assert name == weight.name
        assert name.isidentifier()
        assert all(s.startswith(("https://", "hf://")) for s in weight.sources)
        assert weight.sources or weight.page
        assert (weight.sha256 is None) == (weight.bytes is None)
        assert weight.sha256 is None or len(bytes.fromhex(weight.sha256)) == 32
        assert ("NC" in weight.licence) == weight.non_commercial
        assert not (weight.patterns and weight.sha256)
        assert all(weight.patterns == () or "/" not in s.partition("@")[2] for s in weight.sources)
    for name in ("vggish", "resnet50"):  # their publishers put the digest's first digits into the file name
        assert Path(KNOWN[name].file).stem.rpartition("-")[2] == (KNOWN[name].sha256 or "")[:8]


def test_published_vocabulary_matches_the_table(fixtures_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fixtures_folder / "metrics" / "imagebind_text_tokens" / "bpe_simple_vocab_16e6.txt.gz"
    if not file.exists():
        pytest.skip("no vocabulary among the reference outputs")
    weights.KNOWN["clip_bpe"] = dataclasses.replace(KNOWN["clip_bpe"], sources=())
    monkeypatch.setenv("MMBENCH_WEIGHTS_CLIP_BPE", str(file))
    assert weights.verify("clip_bpe").trust == "published"
