"""``python -m qinglan`` is the command `qinglan`, also where no script is installed."""

from qinglan.cli import main

if __name__ == "__main__":
    main()
