"""Figures from tables: one module a family, each function returns a `plotly.graph_objects.Figure`."""
