"""Labelled images: data sets, and faces that are drawn."""
