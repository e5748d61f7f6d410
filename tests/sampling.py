"""What the suite samples: long families of tests, of which it plays every nth and `make proof` all.

The suite has twelve minutes on two cores, and is to take ten. A family that takes longer than its share is named
here, with how many of its cases are played; the others are marked `exhaustive`. Numbers that share no factor with the
levels or systems of a family let the sample go through all of them. With which case a family begins is drawn from the
seed of the run, so that in time all are played. The seed stands in the header; set as a variable it plays the same
cases, and the same random worlds, again.
"""

import os
import secrets
from collections import defaultdict
from collections.abc import Iterable
from random import Random

import pytest

SEED_VARIABLE = "INTEGRITY_TEST_SEED"


def draw_seed() -> None:
    """Draw the seed of this run unless it is given; processes that the run starts inherit it.

    Raises:
        UsageError: what is given is no whole number.
    """
    given = os.environ.setdefault(SEED_VARIABLE, str(secrets.randbelow(10**6)))
    if not given.isdecimal():
        raise pytest.UsageError(f"{SEED_VARIABLE}: not a whole number: {given!r}")


def seed() -> int:
    """Return the seed of this run, the same in all of its processes."""
    return int(os.environ[SEED_VARIABLE])


EVERY: dict[str, int] = {
    # Cases of one test.
    "test_what_a_new_project_holds_is_taken_by_its_database_and_its_race_runs": 4,
    "test_a_wrong_sequence_is_found_and_is_the_shortest": 3,
    "test_the_plan_says_what_the_plain_query_says": 100,
    "test_what_a_later_row_breaks_is_told_before_the_first_is_sent": 4,
    "test_rows_that_only_the_server_can_judge_are_shown_to_it_before_anything_is_written": 2,
    "test_a_sound_pair_is_exhausted_at_two_preemptions_without_alarm": 29,
    "test_votes_that_meet_are_exhausted_at_two_preemptions_without_alarm": 11,
    "test_a_race_is_exhausted_without_alarm": 5,
    "test_a_permutation_comes_out_as_on_a_plain_server": 4,
    "test_a_run_with_a_bug_violates_exactly_the_invariants_named_beside_it": 13,
    "test_an_audit_beside_a_sound_run_has_no_false_alarm": 5,
    "test_a_sound_system_bears_every_fault_and_its_unknown_outcomes_are_settled": 23,
    "test_a_fault_exposes_the_bug_that_it_is_meant_to_expose_and_that_is_hidden_without_it": 11,
    "test_what_can_go_wrong_is_found_and_what_cannot_is_silent_in_every_order": 3,
    "test_a_pruned_search_comes_to_the_same": 4,
    "test_a_client_that_dies_at_any_step_leaves_nothing_that_a_sweep_does_not_end": 4,
    "test_a_vote_whose_answer_was_lost_is_answered_when_it_comes_again": 4,
    "test_a_client_that_dies_anywhere_leaves_all_or_nothing": 4,
    "test_each_exported_race_is_red_and_well_formed": 3,
    "test_an_invariant_over_calls_can_be_asked_of_one_run": 2,
    "test_a_sound_world_is_accepted": 3,
    "test_no_invariant_handles_more_rows_than_a_multiple_of_those_there_are": 5,
    "test_an_operation_alone_makes_exactly_its_rows_and_breaks_nothing": 4,
    "test_a_planted_race_is_found_and_shrunk_to_the_schedule_beside_it": 2,
    "test_it_is_shrunk_to_one_preemption_and_has_its_name": 3,
    "test_what_is_found_is_shrunk_to_the_smallest_schedule_and_named": 3,
    "test_a_sound_program_is_exhausted_at_two_preemptions_without_alarm": 3,
    "test_a_racy_program_is_found_without_any_invariant": 2,
    "test_a_listener_who_comes_and_goes_misses_and_repeats_nothing": 3,
    "test_what_people_reported_is_found_in_their_operations": 4,
    "test_what_they_mended_is_silent_in_every_order": 4,
    "test_pruned_and_unpruned_searches_come_to_the_same": 3,
    "test_a_fault_over_the_whole_run_comes_to_what_it_is": 23,
    "test_a_sound_system_is_silent_over_many_seeds": 3,
    "test_a_sound_server_is_silent": 5,
    "test_a_served_race_is_that_of_operations_in_process": 11,
    "test_a_server_with_a_bug_violates_exactly_the_invariants_named_beside_it": 42,
    # Whole files, whose tests each start a process or a server, or make a world, a run or a search of their own.
    "test_run_processes.py": 5,
    "test_own_system.py": 2,  # one engine a run: each of its tests has both, in one order
    "test_widths.py": 8,  # two projects at four widths; what needs no database is in tests/unit/test_screens.py
    "test_servers.py": 6,  # each of its tests has the six servers in one order, and all play on the same one
    "test_serve_dependencies.py": 5,  # a process each of parties, system and run
    "test_strangers.py": 5,  # each of its tests has two engines and three layouts: no divisor of six
    **dict.fromkeys(
        (
            "test_audit_proofs.py",
            "test_bad_files.py",
            "test_bad_processes.py",
            "test_bad_runs.py",
            "test_bad_urls.py",
            "test_coverage.py",
            "test_db_command.py",
            "test_example_applications.py",
            "test_example_bank.py",
            "test_example_seats.py",
            "test_example_tickets.py",
            "test_fault_command.py",
            "test_faults_crashes.py",
            "test_health.py",
            "test_init_command.py",
            "test_kills.py",
            "test_locust.py",
            "test_messages.py",
            "test_monitor.py",
            "test_own_exceptions.py",
            "test_own_mistakes.py",
            "test_race_call_mutations.py",
            "test_race_calls.py",
            "test_race_command.py",
            "test_race_copy.py",
            "test_race_keeping.py",
            "test_race_leftovers.py",
            "test_race_requests.py",
            "test_race_sqlite_command.py",
            "test_race_unruly.py",
            "test_reproduce.py",
            "test_reproduce_command.py",
            "test_rollback_rows.py",
            "test_run.py",
            "test_run_crashes.py",
            "test_run_settles.py",
            "test_seed_command.py",
            "test_seed_schema.py",
            "test_settlement.py",
            "test_start_up.py",
            "test_stop.py",
            "test_stored_places.py",
            "test_suite_command.py",
        ),
        3,
    ),
    **dict.fromkeys(
        (
            "test_bad_names.py",
            "test_bad_numbers.py",
            "test_embedded.py",
            "test_race_cures.py",
            "test_race_idle.py",
            "test_session_settings.py",
            "test_snapshot.py",
            "test_status_commands.py",
            "test_strangers_commands.py",
        ),
        4,
    ),
    "stories": 4,
}

STORIES = {
    "test_the_commands_of_the_readme_run",
    "test_the_wheel_works_beside_its_dependencies_alone",
    "test_a_users_program_is_typed",
    "test_a_users_program_races_runs_and_audits_a_system_that_nobody_declares",
    "test_a_users_test_lets_hypothesis_call_his_operations_and_tells_the_shortest_wrong_sequence",
    "test_all_five_systems_hold_in_one_database_at_once_and_later",
    "test_what_is_sent_in_one_go_is_a_letter_a_statement",
    "test_a_racy_function_fails_its_test_with_the_schedule_and_a_sound_one_passes",
    "test_what_is_not_undone_is_said_and_never_held",
}
"""Single tests, wherever they stand, that each tell a whole story and take 10 to 30 s for it: one family."""


def mark_exhaustive(items: Iterable[pytest.Item]) -> None:
    """Mark what the suite plays of each family and what is left to the proof, which plays both."""
    families: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        test, file = item.name.partition("[")[0], item.path.name
        if test in STORIES:
            families["stories"].append(item)
        elif file in EVERY:
            families[file].append(item)
        elif test in EVERY:
            families[f"{file}::{test}"].append(item)
    for family, cases in families.items():
        every = EVERY[family.rpartition("::")[2]]
        first = first_of(family, min(every, len(cases)))
        for number, item in enumerate(cases):
            item.add_marker(pytest.mark.sampled if number % every == first else pytest.mark.exhaustive)


def first_of(family: str, count: int) -> int:
    """Return with which of its first cases the family begins."""
    return Random(f"{seed()} {family}").randrange(count)
