"""`python -m operator_core` is the `operator` command of that Python, wherever its scripts lie."""

from operator_core.cli.main import main

if __name__ == "__main__":
    main()
