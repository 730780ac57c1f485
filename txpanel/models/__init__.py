"""From a name to a running model: catalogue, sources, loading, anatomy. Importing this package imports neither torch nor transformers."""
