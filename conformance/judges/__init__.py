"""One module for each tool: ``run(setting)`` drives it and returns its figures."""
