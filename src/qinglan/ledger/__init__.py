"""Ledgers (台账) as declared in ``content/ledgers``: checked, written as workbooks, watched. Pure.

What a declaration says and what is made from it: docs/design/0012-ledgers.md.
"""
