"""Files, local and on S3, and their names."""
