"""Calls of a run that are made on other machines, each when somebody there asks for it: by Locust's users, for one."""
