"""Where work runs, free of physics: this room holds executors, journals and batch jobs."""
