"""Stored runs for experiment trackers: what of a run is logged, and one module for each tracker."""
