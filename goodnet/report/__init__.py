"""What people read: findings, what they come to, tables, figures, the report."""
