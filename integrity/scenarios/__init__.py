"""Scenarios: races of somebody's own application, whose actors are requests or commands."""
