"""The report's three hypotheses as experiments: planned, checked, stored as they go, and ended in a verdict.

Each has a rule, written down in its module before anything is measured, that turns intervals into `supported`,
`not supported` or `undecided`. An experiment is a folder; the same command goes on with it, whatever ended it.
"""
