"""Links: telemetry, features, scorers."""
