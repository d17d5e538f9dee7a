"""From sketches to clusters: bands, verification, components."""
