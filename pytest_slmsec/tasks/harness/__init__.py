"""Tasks of lm-evaluation-harness: their definitions, filters and metrics come from the package `lm_eval`, their
documents become items, and their requests are answered by the engines here."""
