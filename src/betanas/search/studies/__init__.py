"""The kinds of study: each proposes trials, runs them through the one loop, and concludes."""
