"""A user's own system under Hypothesis: pytest test_own_bank.py

Sequences of calls, one after the other, each of which leaves every invariant of the bank true.
"""

from hypothesis import settings
from own_bank import BANK

import integrity

TestBank = integrity.machine(BANK, "sqlite:///bank.db").TestCase
TestBank.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
