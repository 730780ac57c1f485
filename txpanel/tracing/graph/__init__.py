"""A model's operations, built from its anatomy."""
