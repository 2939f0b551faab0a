"""`mmbench` and `python -m mmbench`, for launchers such as torchrun."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is imported is told as one in any command is."""
    try:
        from mmbench.cli.app import main as run
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        sys.exit(3)
    run()


if __name__ == "__main__":
    main()
