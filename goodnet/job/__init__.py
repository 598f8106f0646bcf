"""What a repair is asked for and given."""
