"""Notifications of testbeds, in a shell whose notebook has a page."""

import gc
import weakref
from types import SimpleNamespace

from roleml_nb import Testbed
from roleml_nb.magics.notifications import Notifier


def test_a_testbed_that_has_stopped_is_not_kept():
    notifier = Notifier(SimpleNamespace(kernel=object()))
    bed = Testbed(engines=0)
    notifier.watch(bed)
    notifier.watch(bed)
    assert len(notifier._cards) == 1
    bed.stop()
    trace = weakref.ref(bed.trace)
    del bed
    gc.collect()
    assert len(notifier._cards) == 0 and trace() is None


def test_an_error_is_printed_once(capsys):
    notifier = Notifier(SimpleNamespace(kernel=object()))
    with Testbed(engines=0) as bed:
        notifier.watch(bed)
        bed.errors.append(ValueError("no data"))
        notifier.report(bed)
        notifier.report(bed)
    assert capsys.readouterr().err == "1 new error: no data; see %rml errors\n"
