"""Endpoints: which request over HTTP is a call of which operation, and which answer is which return. No I/O."""
