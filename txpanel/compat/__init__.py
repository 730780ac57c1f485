"""Every workaround for a library: one file each, with the version, the reason, the place upstream and a test that says when to drop it.

A workaround is what replaces a method of a library or uses what it keeps to itself. Each file's docstring ends with four lines
(``Versions``, ``Reason``, ``Upstream``, ``Test``), which ``tests/compat/test_rules.py`` reads. To drop one, delete its file, its
test and the line that names it: in `process_wide` where it replaces something for a whole process, else where it is called.

No workarounds, but what they share: `replacing` (puts a function in the place of a library's, if that still fits),
`process_wide` (those of a server, in their order) and `tried` (versions of libraries that the suite has passed with).
"""
