"""Looking before cutting: a run that only measures and settles, and pages to read."""
