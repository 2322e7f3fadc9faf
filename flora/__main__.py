"""`python -m flora` is the command `flora`."""

from flora.cli import main

if __name__ == "__main__":
    main()
