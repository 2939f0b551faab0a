"""CLIP tokens: cleaning, byte-pair encoding by `transformers`, 77 places, an end that is never cut off.

Reproduces SimpleTokenizer of facebookresearch/ImageBind@53680b0:imagebind/models/multimodal_preprocessors.py.
"""

from __future__ import annotations

import gzip
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MMBenchError

CONTEXT, VOCABULARY = 77, 49408
START, END = "<|startoftext|>", "<|endoftext|>"
NUM_MERGES = VOCABULARY - 2 * 256 - 2  # the file of merges holds more than the vocabulary uses


def clean(text: str) -> str:
    """Text repaired by ftfy, unescaped, in lower case, with single spaces."""
    import ftfy

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def byte_characters() -> dict[int, str]:
    """The 256 printable stand-ins for bytes, in the order of the vocabulary: printable Latin-1 first."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


def bytewise_tokenizer(max_tokens: int) -> Any:
    """A CLIPTokenizer of `transformers` that knows single bytes only, with start and end numbered as published."""
    return _published_tokenizer([], model_max_length=max_tokens)


def _published_tokenizer(pairs: list[Any], **options: Any) -> Any:
    from transformers import CLIPTokenizer

    alphabet = byte_characters().values()
    words = [*alphabet, *(c + "</w>" for c in alphabet), *("".join(pair) for pair in pairs)]
    vocabulary = {word: i for i, word in enumerate(words)} | {START: VOCABULARY - 2, END: VOCABULARY - 1}
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, **options)


class ClipTokenizer:
    """Turns texts into CLIP tokens.

    Args:
        merges: OpenAI's bpe_simple_vocab_16e6.txt.gz or the merges.txt beside a published CLIP model; the vocabulary
            follows from it. None knows single bytes only: token numbers are right but never those of whole words, good
            enough for random weights.
    """

    def __init__(self, merges: Path | None) -> None:
        self._encode = _published_tokenizer(_read_merges(merges) if merges else [])

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 77) int64 tokens: start, text, end, zeros; a longer text loses its tail but keeps its end."""
        tokens = np.zeros((len(texts), CONTEXT), dtype=np.int64)
        for row, text in zip(tokens, texts, strict=True):
            ids = self._encode(clean(text))["input_ids"]
            row[: min(len(ids), CONTEXT)] = [*ids[: CONTEXT - 1], VOCABULARY - 1][: len(ids)]
        return tokens


def _read_merges(file: Path) -> list[tuple[str, str]]:
    data = file.read_bytes()
    lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines[1 : 1 + NUM_MERGES]]
    if len(pairs) != NUM_MERGES or any(len(pair) != 2 for pair in pairs):
        raise MMBenchError(f"{file} does not hold CLIP's merges.", f"a header and {NUM_MERGES} pairs")
    return [(a, b) for a, b in pairs]


def clip_tokens(tokenizer: Path | None) -> Callable[[str], list[int]]:
    """From a text to its CLIP tokens with start and end, at most 77, without padding.

    Args:
        tokenizer: A published tokenizer's folder; None for single bytes, which is enough for random weights.
    """
    if tokenizer is None:
        bytewise = ClipTokenizer(None)

        def encode(text: str) -> list[int]:
            row = bytewise([text])[0]
            return row[: row.argmax() + 1].tolist()  # the end has the largest number

        return encode
    from transformers import CLIPTokenizer

    known = CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)
    return lambda text: known(text, truncation=True, max_length=CONTEXT)["input_ids"]
