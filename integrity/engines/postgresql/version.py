"""Which servers are worked with; by itself, so that who looks for one's programs imports no driver."""

SERVER_VERSION_LEAST = 13
