"""Looking at a corpus or a run, and training: what is built on the engine for a user."""
