"""Scripts that make the tables of other people's applications, run by an interpreter that has those installed.

Each takes a URL of SQLAlchemy's kind, and makes in that database what the application's own migrations or models make.
"""
