"""What the page says and does while its server is away, and how it comes back."""
