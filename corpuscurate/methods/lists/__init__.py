"""Lists that a user gives: how their files are read, and many entries sought at once."""
