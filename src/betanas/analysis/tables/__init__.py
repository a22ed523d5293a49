"""Tables computed from a study's records or from a vector. Plain data: no plotly, no pandas."""
