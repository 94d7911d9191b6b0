"""A call, an event and a record, from the notebook to an engine and back, each done several times:
prints as JSON which files of the package each of them enters, on either side, and which are entered
when nothing is done.

Run with the folder `tracer` on PYTHONPATH, for the engine, too.
"""

import json
import sys
import threading
import time
from collections import Counter

from roleml_nb import Event, EventHandler, Role, Service, Testbed

TIMES = 6
MOST = 60  # records are sent by themselves every now and then: then there is none to ask for
IDLE_S = 3.0
REST_S = 0.3  # in which what one journey has set off ends


class Traveller(Role):
    learned = Event()

    @Service(expand=True)
    def add(self, caller, number):
        return number + 1

    @Service(expand=True)
    def emit(self, caller, loss):
        import time

        begin = time.time()
        self.learned.emit({"loss": loss})
        return begin, time.time(), threading.get_ident()

    @Service(expand=True)
    def entered(self, caller, begin, end, thread=None):
        import sys

        return sys.files_entered(begin, end, thread)


class Listener(Role):
    heard = 0.0

    @EventHandler("traveller", "learned", expand=True)
    def listen(self, caller, loss):
        self.heard = time.time()


def call(bed, listener):
    begin = time.time()
    bed.call("there/traveller", "add", {"number": 1})
    end = time.time()
    time.sleep(REST_S)
    return {
        "notebook": sys.files_entered(begin, end),
        "engine": bed.call("there/traveller", "entered", {"begin": begin, "end": end}),
    }


def event(bed, listener):
    """From the emission on the engine, on its thread, to the handler in the notebook."""
    begin, end, thread = bed.call("there/traveller", "emit", {"loss": 1.0})
    time.sleep(REST_S)
    window = {"begin": begin, "end": end, "thread": thread}
    return {
        "engine": bed.call("there/traveller", "entered", window),
        "notebook": sys.files_entered(begin, listener.heard),
    }


def record(bed, listener, view):
    """From the engine, which is asked for its records, to the message of a view to its page."""
    bed.call("there/traveller", "add", {"number": 1})  # an event's receipt would come later
    begin = time.time()
    bed.trace.messages.to_pandas()
    view.on_tick()
    end = time.time()
    time.sleep(REST_S)
    here = threading.get_ident()
    return {
        "engine": bed.call("there/traveller", "entered", {"begin": begin, "end": end}),
        "notebook": sys.files_entered(begin, end, here),
    }


def idle(bed):
    """Return the files that are entered while nothing is asked for: the background's."""
    begin = time.time()
    time.sleep(IDLE_S)
    end = time.time()
    return {
        "notebook": sys.files_entered(begin, end),
        "engine": bed.call("there/traveller", "entered", {"begin": begin, "end": end}),
    }


def repeated(journey, recorded=False):
    """Return which files are entered on either side, each time and most times."""
    journey()  # what is done once only
    found = []
    for _ in range(MOST):
        files = journey()
        if "messaging/records.py" in files["engine"] or not recorded:
            found.append(files)
        if len(found) == TIMES:
            break
    sides = {}
    for side in ("notebook", "engine"):
        times = Counter(file for files in found for file in files[side])
        sides[side] = {
            "always": [file for file, count in times.items() if count == len(found)],
            "mostly": [file for file, count in times.items() if count > len(found) / 2],
        }
    return sides


def main():
    with Testbed(engines=1) as bed:
        bed.spawn("there", on=0)
        bed.spawn("here", on="notebook")
        bed.assign("there", "traveller", Traveller)
        bed.assign("here", "listener", Listener)
        bed.relate("here", "traveller", "there/traveller")
        listener = bed.fleet.home.actors["here"].roles["listener"]
        view = bed.traffic()
        print(
            json.dumps(
                {
                    "idle": idle(bed),
                    "call": repeated(lambda: call(bed, listener)),
                    "event": repeated(lambda: event(bed, listener)),
                    "record": repeated(lambda: record(bed, listener, view), recorded=True),
                }
            )
        )


if __name__ == "__main__":
    main()
