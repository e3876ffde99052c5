"""The jobs as Qinglan does them; imported by the process that runs one, so that imports are not timed."""
