"""URLs: where their host stands, their plain form, and whether lists have them."""
