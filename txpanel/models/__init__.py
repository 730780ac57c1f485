"""From a name to a running model: catalogue, sources, loading, anatomy. Nothing heavy is imported here."""
