"""What runs: Prefect flows that read like a method section."""
