"""`python -m mmbench`, for launchers such as torchrun."""

from mmbench.cli import main

if __name__ == "__main__":
    main()
