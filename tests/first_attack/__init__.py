"""What an outsider's attack on revision ba54b19 found, as commands of a user, which run on any revision.

    git worktree add ../first ba54b19
    MMBENCH_REVISION=../first .venv/bin/python -m pytest -n 0 -m "" tests/first_attack

Each test is one finding: all hold here, and all fail on that revision (results/reliability). What the findings are
tested with in detail, in parts of the package, is in the tests that results/reliability names.
"""
