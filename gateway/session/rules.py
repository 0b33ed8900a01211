"""The revision of the counting rules: of all code by which facts become sessions, increments and charges. Pure.

Theory of operation. The audit derives every count again with the code that counted. A version that counts the same
facts otherwise, be it for a mended defect, would call older entries wrong. So its first start records the revision as a
fact; the audit derives again what follows that, and says of what is before that other rules held.
"""

# To be raised with each change by which facts that were recorded before may give another session, count or charge. A
# ledger that names no revision has 1.
REVISION = 1
