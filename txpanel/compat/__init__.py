"""Every workaround for a library: one file each, with the version, the reason, the place upstream and a test that says when to drop it."""
