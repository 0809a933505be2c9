"""Plugin objects of one pytest run."""
