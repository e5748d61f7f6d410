"""The past of inbox: its settings, what was written and read, and the rows that this left behind."""
