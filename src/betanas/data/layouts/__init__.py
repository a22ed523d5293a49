"""Layouts of image files in a folder: each tells whether a folder is in it, and finds its images."""
