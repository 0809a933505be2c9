"""Options, the settings of a run, and configuration files."""
