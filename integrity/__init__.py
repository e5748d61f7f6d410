"""integrity: a data-integrity verifier and ledger auditor."""

__version__ = "0.1.0"
