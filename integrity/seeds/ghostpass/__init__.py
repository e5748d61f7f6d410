"""The past day of ghostpass: its settings, what its guests did, and the rows that this left behind."""
