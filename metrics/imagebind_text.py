"""CLIP tokens for ImageBind: cleaning, byte-pair encoding by `transformers`, 77 places, an end that is never cut off.

Reproduces SimpleTokenizer of facebookresearch/ImageBind@53680b0:imagebind/models/multimodal_preprocessors.py. It cleans
with ftfy; `repair` does here what ftfy 6.3 does to captions: HTML entities, UTF-8 that was read as Windows-1252 or
Latin-1, ligatures, full-width forms, curly quotes, control characters, NFC. ftfy also repairs what was read in other
code pages, and mojibake that lost a byte; this leaves such text as it is.
"""

from __future__ import annotations

import gzip
import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.imagebind import CONTEXT, VOCABULARY

START, END = "<|startoftext|>", "<|endoftext|>"
NUM_MERGES = VOCABULARY - 2 * 256 - 2  # the file of merges holds more than the vocabulary uses

_ENTITY = re.compile(r"&#?[0-9A-Za-z]{1,24};")
_ESCAPES = re.compile(r"\x1b\[[\d;]*[a-zA-Z]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]")
_SHAPES = re.compile("[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\u3000\ufb00-\ufb06\uff01-\uffef]")
_QUOTES = {**dict.fromkeys([0x02BC, *range(0x2018, 0x201C)], "'"), **dict.fromkeys(range(0x201C, 0x2020), '"')}


def _byte_of_character() -> dict[str, int]:
    """Bytes 128 to 255 by the characters that Windows-1252 or Latin-1 shows for them."""
    table = {chr(byte): byte for byte in range(128, 256)}
    for byte in range(128, 160):
        shown = bytes([byte]).decode("cp1252", errors="ignore")
        table |= {shown: byte} if shown else {}
    return table


_BYTES = _byte_of_character()
_C1 = {byte: char for char, byte in _BYTES.items() if byte < 0xA0 and ord(char) > 0xFF}


def _any_of(characters: Iterable[str]) -> str:
    return "[" + re.escape("".join(characters)) + "]"


_TAILS = [c for c, byte in _BYTES.items() if byte < 0xC0]
_TAIL = _any_of(_TAILS)
_RARE = _any_of(c for c in _TAILS if c not in "‘’“”…–—")  # VOCÊ… and ZZAJÉ’s would decode, but mean what they say
_RARER = _any_of(c for c in _TAILS if c not in "‘’“”…–—™®©£€\xa0")  # neither is AHÅ™ meant to be AHř
_MOJIBAKE = re.compile(
    f"[ÂÃ]{_RARE}|[ÄÅ]{_RARER}|(?:[ÎÏÐÑ×ØÙ]{_TAIL}){{2,}}|"  # Latin; two letters or more of Greek, Cyrillic ...
    f"[âãäåæçèéï](?:{_RARE}{_TAIL}|{_TAIL}{_RARE})|ð{_TAIL}{{3}}"  # dashes, quotes, CJK; emoji
)


def _decode(match: re.Match[str]) -> str:
    try:
        return bytes(_BYTES[c] for c in match[0]).decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def repair(text: str) -> str:
    """Undo what broke a text on its way: escapes, wrong decoding, typographic variants. Clean text is a fixed point."""
    unescape = "<" not in text  # otherwise it may be HTML on purpose
    while True:
        before = text
        if unescape:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        text = _MOJIBAKE.sub(_decode, text).translate(_C1)
        text = _SHAPES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text).translate(_QUOTES)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # halves of a character
        text = _CONTROLS.sub("", _ESCAPES.sub("", text))
        text = unicodedata.normalize("NFC", text)
        if text == before:
            return text


def clean(text: str) -> str:
    """Repaired, unescaped, lower-case text with single spaces."""
    text = html.unescape(html.unescape(repair(text)))
    return " ".join(text.split()).lower()


def _byte_characters() -> list[str]:
    """The 256 printable stand-ins for bytes, in the order of the vocabulary: printable Latin-1 first."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(256 - len(shown))]


class ClipTokenizer:
    """Turns texts into CLIP tokens.

    Args:
        merges: OpenAI's bpe_simple_vocab_16e6.txt.gz or the merges.txt beside a published CLIP model; the vocabulary
            follows from it. None knows single bytes only: token numbers are right but never those of whole words, good
            enough for random weights.
    """

    def __init__(self, merges: Path | None) -> None:
        from transformers import CLIPTokenizer

        pairs: list[Any] = _read_merges(merges) if merges else []
        alphabet = _byte_characters()
        words = [*alphabet, *(c + "</w>" for c in alphabet), *("".join(pair) for pair in pairs)]
        vocabulary = {word: i for i, word in enumerate(words)} | {START: VOCABULARY - 2, END: VOCABULARY - 1}
        self._encode = CLIPTokenizer(vocab=vocabulary, merges=pairs)

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
