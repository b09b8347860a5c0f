"""Weights that others trained, read into our models: one file for each publisher."""
