"""What the Prefect UI shows: a task fetches its inputs, calls goodnet once, stores the result."""
