"""`corpuscurate tune`: evidence for the thresholds of a recipe. One file a tuner."""

from __future__ import annotations

import typer

from corpuscurate.commands.tune_minhash import minhash
from corpuscurate.commands.tune_quality import quality
from corpuscurate.commands.tune_semantic import semantic

tune = typer.Typer(help="Show evidence for the thresholds of a recipe.", no_args_is_help=True, add_completion=False)
tune.command("quality")(quality)
tune.command("semantic")(semantic)
tune.command("minhash")(minhash)
