"""What is made for a release beside the wheel: the documentation's pages, and our own SBOM."""
