"""Networks: a suspect, the plan it is rebuilt from, how it is run, and networks made of two."""
