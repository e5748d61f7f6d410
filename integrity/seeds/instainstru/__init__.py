"""The past weeks of instainstru: their settings, what people booked and wrote, and the rows that this left behind."""
