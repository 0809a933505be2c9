"""Campaigns: many models on many benchmarks, as sessions of pytest in processes of their own."""
