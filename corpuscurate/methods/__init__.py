"""What stages share: one folder a family of methods."""
