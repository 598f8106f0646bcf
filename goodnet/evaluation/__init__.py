"""What networks do on test sets and on new images."""
