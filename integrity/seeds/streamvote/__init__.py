"""The past week of streamvote: its settings, what viewers and streamers did, and the rows that this left behind."""
