"""The demo: a teacher, three strata, a check and a report, with no data of any kind."""

from stratal.demo.story import run_demo

__all__ = ["run_demo"]
