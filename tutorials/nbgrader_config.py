"""nbgrader's configuration for this course.

`make` puts a copy beside what it makes, where nbgrader finds it.
"""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "roleml-nb"
c.CourseDirectory.source_directory = "teacher"
c.CourseDirectory.release_directory = "student"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
# A cell gets 30 seconds, and a check gives up an answer well before that: then the cell fails, and
# the next one runs.
c.Execute.timeout = 30
c.Execute.interrupt_on_timeout = True
# nbgrader's 4 seconds are too few on a machine with much to do: the whole submission would fail
c.Execute.iopub_timeout = 30
