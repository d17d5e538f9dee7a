"""Languages: their codes, the models that tell them, and the published rules of each."""
