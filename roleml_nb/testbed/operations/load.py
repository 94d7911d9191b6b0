"""Load a configuration: read it, check it against the testbed, and deploy it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roleml_nb.spec import Source, read
from roleml_nb.spec.definitions import Names, lead_upstream_here
from roleml_nb.spec.loading import FileName
from roleml_nb.spec.plan import Plan
from roleml_nb.testbed.options import JOIN_OPTIONS

from .deploy import deploy

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["load"]


def load(
    make: type[Testbed] | Testbed,
    source: Source,
    *,
    names: Names | None = None,
    trust: bool = False,
    root: FileName | None = None,
    **options: Any,
) -> tuple[Testbed, Plan]:
    """Deploy a configuration on a testbed that is made for it with `options`, or on one that runs.

    Returns the testbed and the plan that was carried out, with notes about deviations from the
    text. When something fails, a testbed made here is stopped again. `names`, `trust` and `root`
    as of `read`.
    """
    plan = read(
        source,
        names,
        options.get("seed"),
        0 if isinstance(make, type) else make.seed,
        trust=trust,
        root=root,
    )
    if plan.names_upstream:
        lead_upstream_here()
    if not isinstance(make, type):
        plan.check({node: make.registry.roles.get(node, {}) for node in make.registry.places})
        deploy(make.deployment, plan)
        if plan.engines not in (None, make.engines):
            plan.notes.append(
                f"this testbed has {make.engines} engines, not {plan.engines}: new nodes are placed"
                " as by spawn"
            )
        return make, plan
    plan.check({})
    if plan.engines is not None and JOIN_OPTIONS.isdisjoint(options):
        options.setdefault("engines", plan.engines)
    if plan.seed is not None:
        options.setdefault("seed", plan.seed)
    bed = make(**options)
    try:
        deploy(bed.deployment, plan)
    except BaseException:
        bed.stop()
        raise
    return bed, plan
