"""What the gate allows: limits, presets, levels."""
