"""Servers that take requests as strictly as the providers say that they do, and bill them by the published formulas.

Written from the providers' documents, without this package's own counting: what they refuse and what they bill is evidence.
"""
