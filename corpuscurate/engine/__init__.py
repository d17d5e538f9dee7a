"""Runs a `Spec`: manifest, passes of tasks, ledger. It names no concrete stage."""
