"""What a person sees of a search: a live view in a terminal, plain lines anywhere else."""

from betanas.cli.reporting.reporters import Reporter, make_reporter
from betanas.cli.reporting.result import show_result

__all__ = ["Reporter", "make_reporter", "show_result"]
