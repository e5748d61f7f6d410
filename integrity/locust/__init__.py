"""Locust as the generator of a run, on as many machines as its workers are: pip install integrity[locust].

    # locustfile.py
    from integrity.locust import IntegrityUser

    class Voter(IntegrityUser):
        pass

    $ locust -f locustfile.py --headless -u 100 -r 20 -t 60s --host http://127.0.0.1:8000 \\
        --integrity-system streamvote --integrity-profile hammer

Its users ask, in place of a client in a closed loop, for their next call; the profile says which, and what is judged.
What Locust's own processes do is in user.py and the two bridges; they are full of its patches for gevent. So the calls are
made in a process beside each worker (station_process.py), and the run is `integrity run` in one beside the master.
"""

from integrity.locust.user import IntegrityUser

__all__ = ["IntegrityUser"]
