"""What a study says: tables from records, figures from tables, a report from figures. It needs no torch."""
