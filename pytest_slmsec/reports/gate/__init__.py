"""Verdicts of the gate as text, tables, files and test reports."""
