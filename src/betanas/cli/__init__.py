"""The command line: thin functions over the library, and what a person sees in a terminal."""
