"""A system as a server: its operations over HTTP, on a pool of connections, with its outside services in process."""
