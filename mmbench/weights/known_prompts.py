"""The table of prompt sets: lists of prompts of other benchmarks, fetched as checkpoints are, at a commit.

Verse-Bench is not among them: which of its files hold prompts is not known here.
"""

from __future__ import annotations

from mmbench.weights.weight import Weight

GITHUB = "https://raw.githubusercontent.com"
AVGEN = "ads animals asmr chemical_reaction cooking gameplays movie_trailer musical_instrument_tutorial news"
VABENCH_EASY = (
    "Immediate_Event_Synchronization Indoor_Environment_and_Urban_Atmosphere "
    "Physical_Interaction_and_Acoustic_Phenomena bioacoustics human_language human_nonverbal music natural_environment "
    "strong_synchronization_and_rhythmic_movements subjective_feeling"
)
VABENCH_HARD = (
    "Exact_Time_Synchronization Indoor_Environment_and_Urban_Atmosphere Physical_Interaction_and_Acoustic_Phenomena "
    "Physics_knowledge_and_world_knowledge Virtual_Environment complex_acoustic_scene human_language "
    "invisible_sound_source music natural_environment nonverbal_human sound_symbolism_and_metaphor "
    "strong_synchronization_and_rhythmic_movements subjective_feeling"
)
JAVISBENCH = "hf://datasets/JavisVerse/JavisBench"


def _prompts(name: str, source: str, licence: str, page: str, members: tuple[str, ...] = ()) -> Weight:
    file = f"prompts/{name}" if members else f"prompts/{name}.{source.rpartition('.')[2]}"
    closed = "NC" in licence
    return Weight(name, file, (source,), "prompts", licence, page=page, members=members, non_commercial=closed)


PROMPT_LISTS = (
    _prompts(
        "avgen_bench",
        f"{GITHUB}/microsoft/AVGen-Bench/896d0adddabb66a830bd3e11792b8b82e875fd90/prompts/",
        "MIT",
        "https://github.com/microsoft/AVGen-Bench",
        tuple(f"{name}.json" for name in (*AVGEN.split(), "physical_experiment", "sports")),
    ),
    _prompts(
        "phyavbench",
        f"{GITHUB}/imxtx/PhyAVBench/3026629ae2ab9c16cda610d03e3ce9fb6e6f5e76/src/phyavbench/data/prompt_all.jsonl",
        "MIT",
        "https://github.com/imxtx/PhyAVBench",
    ),
    _prompts(
        "t2av_compass",
        f"{GITHUB}/NJU-LINK/T2AV-Compass/6afcb2688c81de48e8597dd881fc5c73bc8e9c6b/t2av-compass/Data/prompts.json",
        "none stated",
        "https://github.com/NJU-LINK/T2AV-Compass",
    ),
    _prompts(
        "vabench",
        f"{GITHUB}/tanABCC/VABench/a42ed0a0bf54bf8c27b90803cbf560b609f9ef8c/json_files/json_text/",
        "none stated",
        "https://github.com/tanABCC/VABench",
        tuple(
            f"{level}_{name}.json"
            for level, names in (("easy", VABENCH_EASY), ("hard", VABENCH_HARD))
            for name in names.split()
        ),
    ),
    _prompts(
        "moviegen_audio",
        f"{GITHUB}/facebookresearch/MovieGenBench/760bfa308f1cfce272bd4bcef99cf4b031a525f8/benchmark/MovieGenAudioBenchSfx.jsonl",
        "CC BY-NC 4.0",
        "https://github.com/facebookresearch/MovieGenBench",
    ),
    _prompts(
        "audiocaps",
        f"{GITHUB}/cdjkim/audiocaps/6b9483e0df243e635bb87ef0b2ed8b351c4ac23c/dataset2.0/test.csv",
        "MIT",
        "https://github.com/cdjkim/audiocaps",
    ),
    _prompts(
        "javisbench", f"{JAVISBENCH}/JavisBench.csv", "MIT", "https://huggingface.co/datasets/JavisVerse/JavisBench"
    ),
    _prompts(
        "javisbench_mini",
        f"{JAVISBENCH}/JavisBench-mini.csv",
        "MIT",
        "https://huggingface.co/datasets/JavisVerse/JavisBench",
    ),
)
