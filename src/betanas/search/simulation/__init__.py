"""Replays searches on recorded trials, in the manner of NAS-Bench-301: strategies run in seconds, without training."""
