"""The past week of safebox: its settings, what its owners did, and the rows that this left behind."""
