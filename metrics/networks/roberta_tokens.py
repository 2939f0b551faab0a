"""RoBERTa's tokens of texts, as CLAP reads them; transformers' tokenizer on a vocabulary file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mmbench.errors import MMBenchError

START, PADDING, END, UNKNOWN, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"


class RobertaTokens:
    """Turns a text into tokens.

    Args:
        file: The tokenizer.json beside roberta-base. None knows single bytes only, which is enough for random weights.

    Raises:
        MMBenchError: The file holds no vocabulary with merges.
    """

    def __init__(self, file: Path | None) -> None:
        from transformers import RobertaTokenizer
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        if file is None:
            words = [START, PADDING, END, UNKNOWN, *bytes_to_unicode().values(), MASK]
            self._encode = RobertaTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
            return
        try:
            model = json.loads(file.read_text())["model"]
            merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
            self._encode = RobertaTokenizer(vocab=model["vocab"], merges=merges)  # type: ignore[arg-type]  # pairs, too
        except (ValueError, LookupError, TypeError) as error:
            raise MMBenchError(
                f"{file} does not hold RoBERTa's vocabulary.", "roberta-base's tokenizer.json"
            ) from error

    def __call__(self, text: str, length: int) -> np.ndarray:
        """(1, k) int64 tokens: start, text, end; beyond `length` tokens a text loses its tail but keeps its end."""
        return np.array([self._encode(text, truncation=True, max_length=length)["input_ids"]], np.int64)
