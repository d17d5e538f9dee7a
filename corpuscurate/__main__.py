"""`corpuscurate` and `python -m corpuscurate`."""

from __future__ import annotations

import sys

import corpuscurate
from corpuscurate.commands.interrupt import ending_soon, exit_code, say_interrupted


def main() -> None:
    """Run the command line; ends the process with 0 done, 1 failed, 2 recipe or arguments wrong, 130 interrupted."""
    with ending_soon():  # before the imports, which take seconds on a busy machine
        try:
            _run()
        except KeyboardInterrupt as error:
            say_interrupted()
            sys.exit(exit_code(error))


def _run() -> None:
    try:
        from corpuscurate.commands.app import app
        from corpuscurate.commands.guard import standard_streams
    except ModuleNotFoundError as error:
        sys.exit(f"error: {corpuscurate._not_set_up(error)}")

    with standard_streams():
        app(prog_name="corpuscurate")


if __name__ == "__main__":  # also what a worker process of the `spawn` method would import
    main()
