"""``python -m roleml_nb.doctor`` prints the report, and exits with 1 when there are problems."""

import sys

from .examination import examine

report = examine()
print(report)
sys.exit(1 if report.problems else 0)
