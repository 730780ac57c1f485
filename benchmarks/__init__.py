"""txpanel beside plain transformers and beside what people would install instead. Run: ``python -m benchmarks``."""
