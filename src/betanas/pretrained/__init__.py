"""What is known before a network sees its first image: weights that others trained on ImageNet."""
