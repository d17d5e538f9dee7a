"""`corpuscurate` and `python -m corpuscurate`."""

from __future__ import annotations

import sys

import corpuscurate


def main() -> None:
    """Run the command line; ends the process with 0 done, 1 failed, 2 recipe or arguments wrong, 130 interrupted."""
    try:
        from corpuscurate.commands.app import app
        from corpuscurate.commands.guard import say_interrupted, standard_streams
        from corpuscurate.commands.interrupt import ending_soon
    except ModuleNotFoundError as error:
        sys.exit(f"error: {corpuscurate._not_set_up(error)}")

    with standard_streams(), ending_soon(say_interrupted):
        app(prog_name="corpuscurate")


if __name__ == "__main__":  # also what a worker process of the `spawn` method would import
    main()
