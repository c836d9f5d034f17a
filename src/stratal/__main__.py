"""``python -m stratal`` is the command ``stratal``."""

from stratal.cli import main

if __name__ == "__main__":
    main()
