"""Tables of records in pages of the documentation, between two marks that name the record."""

from __future__ import annotations

UNMEASURED = "Not measured yet."


def with_table(page: str, name: str, table: str) -> str:
    """The page with what stands between the marks of a record replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}"
