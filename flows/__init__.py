"""What runs: Prefect flows that read like a method section."""

import warnings

# Prefect warns as it is imported; flows/preconditions.py says it in one line, and ends there.
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")
