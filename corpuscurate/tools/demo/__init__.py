"""The main job on the text that every Python installation carries."""
