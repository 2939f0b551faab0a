"""`python -m mmbench`, for launchers such as torchrun."""

from mmbench.cli.app import main

if __name__ == "__main__":
    main()
