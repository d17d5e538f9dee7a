"""The command line: one file a verb, each calls one function. Heavy modules are imported where they are used."""
