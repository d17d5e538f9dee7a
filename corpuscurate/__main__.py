"""`corpuscurate` and `python -m corpuscurate`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with 0 done, 1 failed, 2 recipe or arguments wrong, 130 interrupted."""
    from corpuscurate.commands.app import app
    from corpuscurate.commands.guard import standard_streams

    with standard_streams():
        app(prog_name="corpuscurate")


if __name__ == "__main__":  # also what a worker process of the `spawn` method would import
    main()
