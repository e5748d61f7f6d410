"""Sequences of calls, one after the other, drawn and shrunk by Hypothesis: pytest test_tickets.py"""

from hypothesis import settings
from tickets import TICKETS

import integrity

TestTickets = integrity.machine(TICKETS).TestCase
TestTickets.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
