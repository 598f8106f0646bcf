"""Training a network a little further."""
