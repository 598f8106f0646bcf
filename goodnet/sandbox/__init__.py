"""The process that opens untrusted files, and what starts it."""
