"""Training: recipes, the budget clock, the loop. A trial goes in, a `TrialResult` comes out."""
