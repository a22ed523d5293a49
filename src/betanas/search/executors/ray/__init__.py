"""The Ray executor: trials on the nodes of a Ray cluster."""
