"""Learning from a teacher: what another network says of the training images, computed once."""
