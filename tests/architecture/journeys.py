"""A call, an event and a record, from the notebook to an engine and back, each done several times:
prints as JSON which files of the package each of them enters every time, on either side.

Run with the folder `tracer` on PYTHONPATH, for the engine, too.
"""

import json
import sys
import threading
import time

from roleml_nb import Event, EventHandler, Role, Service, Testbed

TIMES = 6
MOST = 60  # records are sent by themselves every now and then: then there is none to ask for
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
    """From the engine, which is asked for what it has recorded, to what a view sends to its page."""
    bed.call("there/traveller", "emit", {"loss": 1.0})
    begin = time.time()
    bed.trace.messages.to_pandas()
    (view.on_tick if hasattr(view, "on_tick") else view.beat)()
    end = time.time()
    time.sleep(REST_S)
    here = threading.get_ident()
    return {
        "engine": bed.call("there/traveller", "entered", {"begin": begin, "end": end}),
        "notebook": sys.files_entered(begin, end, here),
    }


def every_time(journey, recorded=False):
    """Return the files that are entered each time: what comes now and then is the background's."""
    journey()  # what is done once only
    found = []
    for _ in range(MOST):
        files = journey()
        if "messaging/records.py" in files["engine"] or not recorded:
            found.append(files)
        if len(found) == TIMES:
            break
    return {
        side: [file for file in found[-1][side] if all(file in each[side] for each in found)]
        for side in ("notebook", "engine")
    }


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
                    "call": every_time(lambda: call(bed, listener)),
                    "event": every_time(lambda: event(bed, listener)),
                    "record": every_time(lambda: record(bed, listener, view), recorded=True),
                }
            )
        )


if __name__ == "__main__":
    main()
