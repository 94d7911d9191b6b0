"""Written by %rml export: what was run in a notebook, as a program."""

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator, ModelMaintainer

bed = None

# [1]
pass  # get_ipython().run_line_magic('load_ext', 'roleml_nb')

# [2]
if bed is None or not bed.running:
    bed = Testbed(engines=0, seed=3)

# [3]
from roleml_nb.workload import digits, digits_test, logistic_regression

# [4]
bed.spawn('server', 'client{1..2}')
selected = bed.select('client*')
selected.assign('trainer', EpochTrainer, elements={'model': impl(logistic_regression, 64, 10), 'dataset': impl(digits, part=Each([i for i, node in enumerate(selected)]), parts=64)})
selected = bed.select('server')
selected.assign('evaluator', ModelMaintainer, elements={'model': impl(logistic_regression, 64, 10), 'dataset_test': impl(digits_test)})
selected = bed.select('server')
selected.assign('aggregator', FedAvgAggregator)
selected.assign('coordinator', FederatedCoordinator)
bed.relate('server', 'trainer', ['client*/trainer'])

# [5]
print(bed.call('server/coordinator', 'run', {'num_rounds': 2}))

if bed is not None:
    bed.stop()
