"""Personal data: what is found in a batch, how telephone and identity numbers are told, and keys for tokens."""
