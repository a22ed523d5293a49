"""What a study says: tables from records, figures from tables, a report from figures. Neither torch nor Ax."""
